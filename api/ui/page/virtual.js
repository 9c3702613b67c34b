// A table of any length, of which only the rows in sight are drawn. Rows are kept by key, so focus and selection stay.
import { debounce, h, setAttr } from "./dom.js";

const SPARE = 6; // rows drawn beyond each edge

export class VirtualTable {
  // columns: [{name, label, sort}]; make() gives a row's cells; update(row, item) fills them in.
  constructor({ label, className, columns, key, make, update, onSort }) {
    Object.assign(this, { key, make, update });
    this.items = [];
    this.rows = new Map();
    this.free = [];
    this.height = 44;
    this.sight = 0;
    this.head = h("div", { role: "row", class: "row head", "aria-rowindex": 1 }, columns.map((column) => headCell(column, onSort)));
    this.space = h("div", { role: "rowgroup", class: "space" });
    this.element = h("div", { role: "table", "aria-label": label, class: `table ${className}`, tabindex: 0, onkeydown: (e) => this.step(e) },
      h("div", { role: "rowgroup", class: "headgroup" }, this.head), this.space);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.settle = debounce(150, () => this.inOrder());
    this.observer = new ResizeObserver(() => {
      this.measure();
      this.draw();
    });
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  setItems(items) {
    this.items = items;
    this.draw();
  }

  sorted(name, descending) {
    for (const cell of this.head.children) {
      if (cell.dataset.sort) setAttr(cell, "aria-sort", cell.dataset.sort !== name ? null : descending ? "descending" : "ascending");
    }
  }

  // Not at each scroll, as it makes the browser lay out everything.
  measure() {
    this.height = parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 44;
    this.sight = this.element.clientHeight;
  }

  range() {
    if (!this.sight && this.element.isConnected) this.measure();
    const top = Math.max(0, this.element.scrollTop);
    const { sight } = this;
    return [Math.max(0, Math.floor(top / this.height) - SPARE), Math.min(this.items.length, Math.ceil((top + sight) / this.height) + SPARE)];
  }

  visible() {
    const [from, to] = this.range();
    return this.items.slice(from, to);
  }

  draw() {
    const [from, to] = this.range();
    const wanted = new Set();
    for (let i = from; i < to; i++) wanted.add(this.key(this.items[i]));
    for (const [key, row] of this.rows) {
      if (wanted.has(key) || this.holdsFocus(key, row)) continue;
      this.rows.delete(key);
      this.free.push(row);
    }
    this.space.style.height = `${this.items.length * this.height}px`;
    setAttr(this.element, "aria-rowcount", this.items.length + 1);
    for (let i = from; i < to; i++) this.place(i);
    for (const row of this.free.splice(0)) row.remove();
    this.settle();
  }

  // Somebody is in a row out of sight: it stays, unless what it shows is gone.
  holdsFocus(key, row) {
    if (!row.contains(document.activeElement)) return false;
    if (this.items.some((item) => this.key(item) === key)) return true;
    this.element.focus({ preventScroll: true });
    return false;
  }

  place(i) {
    const item = this.items[i];
    const key = this.key(item);
    let row = this.rows.get(key);
    if (!row) {
      row = this.free.pop() || h("div", { role: "row", class: "row" }, this.make());
      this.rows.set(key, row);
      row.classList.remove("fresh");
    }
    row.at = i;
    row.style.transform = `translateY(${i * this.height}px)`;
    setAttr(row, "aria-rowindex", i + 2);
    row.classList.toggle("odd", i % 2 === 1);
    this.update(row, item);
    if (!row.isConnected) this.space.append(row);
  }

  // In the order in which they are read; not while somebody is in a row.
  inOrder() {
    if (this.space.contains(document.activeElement)) return;
    const rows = [...this.space.children];
    if (rows.every((row, i) => i === 0 || rows[i - 1].at < row.at)) return;
    this.space.append(...rows.sort((a, b) => a.at - b.at));
  }

  step(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || this.items.length === 0) return;
    const row = document.activeElement.closest?.(".row:not(.head)");
    const at = Math.min(this.items.length - 1, Math.max(0, row && this.space.contains(row) ? row.at + by : Math.floor(this.element.scrollTop / this.height)));
    event.preventDefault();
    this.show(at);
    this.rows.get(this.key(this.items[at]))?.querySelector("a, button")?.focus({ preventScroll: true });
  }

  show(at) {
    const top = at * this.height;
    const sight = this.element.clientHeight - this.head.offsetHeight - this.height;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + sight) this.element.scrollTop = top - sight;
    this.draw();
  }
}

function headCell(column, onSort) {
  const cell = h("div", { role: "columnheader", class: `c-${column.name}` });
  if (column.sort && onSort) {
    cell.dataset.sort = column.name;
    cell.append(h("button", { type: "button", class: "sort", onclick: () => onSort(column.name) }, column.label));
  } else cell.append(column.label);
  return cell;
}

export const cell = (name, ...children) => h("div", { role: "cell", class: `c-${name}` }, children);
