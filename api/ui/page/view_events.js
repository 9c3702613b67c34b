// The stream of events as it comes, with filters; it can be held, and goes on without a gap.
import { linkTo } from "./api.js";
import { clockText, dayText, debounce, h, setAttr, setText } from "./dom.js";
import { healthMark, input, kindText, kindTone, setHealthMark, button } from "./parts.js";
import { compareIds, listEvents } from "./store.js";
import { T } from "./strings.js";
import { cell, VirtualTable } from "./virtual.js";
import { addressOf } from "./view_service.js";

const text = T.events;
const KEPT = 20000; // while it is held
const COLUMNS = ["time", "kind", "service", "instance", "now"].map((name) => ({ name, label: text.columns[name] }));

export class EventsView {
  constructor({ store, query, setQuery }) {
    Object.assign(this, { store, setQuery, title: text.title });
    this.kinds = new Set((query.get("kinds") || "").split(" ").filter((kind) => T.kinds[kind]));
    this.service = query.get("service") || "";
    this.instance = query.get("instance") || "";
    this.heldAt = ""; // id of the newest event shown while it is held
    this.isHeld = false;
    this.build();
  }

  build() {
    this.count = h("span", { class: "count" });
    this.hold = button(text.pause, () => this.toggle(), "primary");
    this.chips = Object.entries(T.kinds).map(([kind, label]) => h("button", { type: "button", class: "filter", "aria-pressed": String(this.kinds.has(kind)), onclick: (e) => this.toggleKind(kind, e.currentTarget) }, label));
    const field = (name) => input(text[name], { type: "search", value: this[name], oninput: (e) => {
      this[name] = e.target.value;
      this.refilter();
    } });
    this.write = debounce(250, () => this.writeQuery());
    this.table = new VirtualTable({ label: text.list, className: "events", columns: COLUMNS, key: (x) => x.id, make: makeRow, update: updateRow });
    this.empty = h("div", { class: "empty", hidden: true }, text.none);
    this.element = h("div", { class: "fill" },
      h("div", { class: "heading" }, h("h1", {}, text.title), this.count, this.hold),
      h("div", { class: "tools" }, h("div", { class: "filters", role: "group", "aria-label": text.kinds }, this.chips), field("service"), field("instance")),
      this.table.element, this.empty);
  }

  close() {
    this.table.close();
  }

  toggleKind(kind, chip) {
    if (!this.kinds.delete(kind)) this.kinds.add(kind);
    setAttr(chip, "aria-pressed", this.kinds.has(kind));
    this.refilter();
  }

  refilter() {
    this.drawnAt = null;
    this.update();
    this.write();
  }

  writeQuery() {
    const query = new URLSearchParams();
    if (this.kinds.size) query.set("kinds", [...this.kinds].join(" "));
    if (this.service) query.set("service", this.service);
    if (this.instance) query.set("instance", this.instance);
    this.setQuery(query);
  }

  wanted(event) {
    return (this.kinds.size === 0 || this.kinds.has(event.event)) && (!this.service || event.instance.name.toLowerCase().includes(this.service.toLowerCase())) &&
      (!this.instance || event.instance.id.toLowerCase().includes(this.instance.toLowerCase()));
  }

  async toggle() {
    this.isHeld = !this.isHeld;
    setText(this.hold, this.isHeld ? text.resume : text.pause);
    const { events } = this.store;
    if (this.isHeld) {
      this.heldAt = events.length ? events[events.length - 1].id : "";
      this.held = events.slice();
    } else {
      await this.fillGap();
      this.held = null;
    }
    this.drawnAt = null;
    this.update();
  }

  // What came while it was held, and is not in the page any more, is asked for.
  async fillGap() {
    const { store } = this;
    if (!this.heldAt || store.events.length === 0 || compareIds(store.events[0].id, this.heldAt) <= 0) return;
    const { events } = await listEvents("", this.heldAt, KEPT).catch(() => ({ events: [] }));
    const first = store.events[0].id;
    store.prepend(this.held.concat(events).filter((x) => compareIds(x.id, first) < 0));
  }

  update() {
    const { store } = this;
    const at = `${store.dropped + store.events.length}/${store.reloads}`;
    const waiting = this.isHeld ? store.events.filter((x) => !this.heldAt || compareIds(x.id, this.heldAt) > 0).length : 0;
    if (this.isHeld) setText(this.count, text.paused(waiting));
    if (this.drawnAt === at || (this.isHeld && this.drawnAt !== null)) return;
    this.drawnAt = at;
    const before = this.table.items;
    const items = (this.held || store.events).filter((x) => this.wanted(x)).reverse();
    this.keepPlace(before, items);
    this.table.element.hidden = items.length === 0;
    this.empty.hidden = items.length > 0;
    if (!this.isHeld) setText(this.count, text.shown(items.length));
    this.table.setItems(items);
  }

  // Who reads further down is not moved by what comes above.
  keepPlace(before, items) {
    const { element, height } = this.table;
    if (element.scrollTop < height || before.length === 0) return;
    const added = items.findIndex((x) => x.id === before[0].id);
    if (added > 0) element.scrollTop += added * height;
  }

  tick() {}
}

function makeRow() {
  return [cell("time", h("time")), cell("kind", h("span", { class: "kind" })), cell("service", h("a", { href: "#/", class: "ext" })), cell("instance", h("a", { href: "#/", class: "ext" }), h("span", { class: "sub ext" })), cell("now", healthMark(), h("span", { class: "sub ext" }))];
}

function updateRow(row, event) {
  if (row.event === event) return;
  row.event = event;
  const { instance } = event;
  const at = Date.parse(event.time);
  const [time, kind, service, id, now] = row.children;
  setText(time.firstChild, clockText(at));
  setAttr(time.firstChild, "datetime", event.time);
  setAttr(time.firstChild, "title", dayText(at));
  kind.firstChild.className = `kind ${kindTone(event)}`;
  setText(kind.firstChild, kindText(event));
  setText(service.firstChild, instance.name);
  setAttr(service.firstChild, "href", linkTo("services", instance.name));
  setText(id.firstChild, instance.id);
  setAttr(id.firstChild, "href", linkTo("instances", instance.id));
  setText(id.lastChild, addressOf(instance));
  setHealthMark(now.firstChild, instance.health);
  setText(now.lastChild, (instance.health === "maintenance" ? instance.reason : instance.note) || "");
}
