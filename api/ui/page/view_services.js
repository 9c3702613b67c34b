// All services: health at a glance, search, filters, sorting, and what changed a moment ago.
import { linkTo } from "./api.js";
import { ago, debounce, h, nowMs, number, say, setAttr, setText } from "./dom.js";
import { chips, code, healthBar, input, select, setHealthBar, setOptions } from "./parts.js";
import { STATES } from "./store.js";
import { T } from "./strings.js";
import { cell, VirtualTable } from "./virtual.js";

const text = T.services;
const COLUMNS = ["name", "health", "instances", "types", "zones", "tags", "changed"].map((name) => ({
  name, label: text.columns[name], sort: ["name", "health", "instances", "changed"].includes(name),
}));
const badness = (x) => x.critical * 1e12 + x.warning * 1e6 + x.maintenance;
const ORDERS = {
  name: (a, b) => a.lower < b.lower ? -1 : Number(a.lower > b.lower),
  health: (a, b) => badness(b) - badness(a) || ORDERS.name(a, b),
  instances: (a, b) => b.total - a.total || ORDERS.name(a, b),
  changed: (a, b) => b.changedMs - a.changedMs || ORDERS.name(a, b),
};

export class ServicesView {
  constructor({ store, query, setQuery }) {
    this.store = store;
    this.setQuery = setQuery;
    this.title = text.title;
    this.filter = { q: query.get("q") || "", type: query.get("type") || "", tag: query.get("tag") || "", zone: query.get("zone") || "", health: query.get("health") || "" };
    this.sort = ORDERS[query.get("sort")] ? query.get("sort") : "name";
    this.down = query.get("down") === "1";
    this.cost = 0;
    this.sortedAt = 0;
    this.build();
  }

  build() {
    this.count = h("span", { class: "count" });
    this.search = h("input", { type: "search", id: "search", value: this.filter.q, placeholder: text.searchHint, "aria-label": text.search, autocomplete: "off", spellcheck: "false", oninput: () => this.change("q", this.search.value) });
    this.selects = Object.fromEntries(["type", "tag", "zone"].map((name) => [name, select(text[name], [["", text.all]], "", (value) => this.change(name, value))]));
    this.buttons = STATES.map((state) => h("button", { type: "button", class: `filter ${state}`, "aria-pressed": "false", onclick: () => this.change("health", this.filter.health === state ? "" : state) }, h("strong", {}, "0"), " ", T.health[state]));
    this.clear = h("button", { type: "button", class: "plain", onclick: () => this.clearAll() }, text.clear);
    this.table = new VirtualTable({ label: text.list, className: "services", columns: COLUMNS, key: (x) => x.name, make: makeRow, update: (row, x) => this.updateRow(row, x), onSort: (name) => this.order(name) });
    this.empty = h("div", { class: "empty", hidden: true });
    this.write = debounce(250, () => this.writeQuery());
    this.tell = debounce(800, () => say(this.count.textContent));
    this.element = h("div", { class: "fill" },
      h("div", { class: "heading" }, h("h1", {}, text.title), this.count, h("div", { class: "filters", role: "group", "aria-label": text.healthFilter }, this.buttons)),
      h("div", { class: "tools" }, this.search, Object.values(this.selects), this.clear),
      this.table.element, this.empty);
  }

  close() {
    this.table.close();
  }

  change(name, value) {
    this.filter[name] = value;
    this.sortedAt = 0;
    this.table.element.scrollTop = 0;
    this.update();
    this.write();
    this.tell();
  }

  clearAll() {
    this.search.value = "";
    for (const name of Object.keys(this.filter)) this.filter[name] = "";
    this.change("q", "");
    this.search.focus();
  }

  order(name) {
    this.down = this.sort === name ? !this.down : false;
    this.sort = name;
    this.change("q", this.filter.q);
  }

  writeQuery() {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(this.filter)) if (value) query.set(name, value);
    if (this.sort !== "name") query.set("sort", this.sort);
    if (this.down) query.set("down", "1");
    this.setQuery(query);
  }

  matching() {
    const { q, type, tag, zone, health } = this.filter;
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (const service of this.store.services.values()) {
      if (health && service[health] === 0) continue;
      if (words.length && !words.every((word) => service.lower.includes(word))) continue;
      if (type || tag || zone) {
        service.labels();
        if ((type && !service.types.includes(type)) || (tag && !service.tags.includes(tag)) || (zone && !service.zones.includes(zone))) continue;
      }
      found.push(service);
    }
    found.sort(ORDERS[this.sort]);
    return this.down ? found.reverse() : found;
  }

  // Sorting is done again when it may differ, and not more often than it is cheap.
  update() {
    const began = performance.now();
    const moves = this.sort !== "name" || this.filter.health !== "" || this.structure !== this.store.structure;
    if (this.sortedAt === 0 || (moves && began - this.sortedAt > this.cost * 5)) {
      this.table.items = this.matching();
      this.structure = this.store.structure;
      this.sortedAt = performance.now();
      this.cost = this.sortedAt - began;
    } else if (moves && !this.late) {
      this.late = setTimeout(() => {
        this.late = 0;
        this.update();
      }, this.cost * 5);
    }
    this.table.draw();
    this.table.sorted(this.sort, this.down);
    this.summary();
  }

  summary() {
    const { store } = this;
    const totals = store.totals();
    const all = store.services.size;
    STATES.forEach((state, i) => {
      setText(this.buttons[i].firstChild, number(totals[state]));
      setAttr(this.buttons[i], "aria-pressed", this.filter.health === state);
      this.buttons[i].classList.toggle("zero", totals[state] === 0);
    });
    setText(this.count, store.loaded ? `${text.count(this.table.items.length, all)}, ${text.instances(store.count)}` : text.loading);
    this.clear.hidden = !Object.values(this.filter).some(Boolean);
    this.showEmpty(store.loaded && this.table.items.length === 0, all === 0);
    this.options();
  }

  showEmpty(isEmpty, isFirst) {
    this.table.element.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    const kind = isFirst ? "first" : "none";
    if (!isEmpty || this.emptyKind === kind) return;
    this.emptyKind = kind;
    this.empty.replaceChildren(h("p", {}, isFirst ? text.empty : text.none));
    if (isFirst) this.empty.append(code(text.emptyHint, `curl -X POST ${location.origin}/register -d '{"name": "web", "host": "10.0.0.5", "port": 8080}'`));
  }

  // What can be chosen changes seldom.
  options() {
    const isSame = this.optionsOf === this.store.structure;
    if (Date.now() - (this.optionsAt || 0) < (isSame ? 10000 : 600)) return;
    this.optionsAt = Date.now();
    this.optionsOf = this.store.structure;
    const sets = { type: new Set(), tag: new Set(), zone: new Set() };
    for (const service of this.store.services.values()) {
      service.labels();
      for (const x of service.types) sets.type.add(x);
      for (const x of service.tags) sets.tag.add(x);
      for (const x of service.zones) sets.zone.add(x);
    }
    for (const [name, set] of Object.entries(sets)) {
      if (this.filter[name]) set.add(this.filter[name]);
      const list = [...set].sort().slice(0, 500).map((x) => [x, x]);
      setOptions(this.selects[name].lastChild, [["", text.all], ...list], this.filter[name]);
      this.selects[name].hidden = set.size === 0;
    }
  }

  tick() {
    for (const row of this.table.rows.values()) if (row.service) changed(row, row.service, this.store);
    this.options();
  }

  updateRow(row, service) {
    if (row.service === service && row.rev === service.rev) return;
    const isNews = row.service === service && row.changedMs !== service.changedMs && service.changedMs > nowMs() - 3000;
    row.changedMs = service.changedMs;
    row.service = service;
    row.rev = service.rev;
    service.labels();
    const [name, health, up, types, zones, tags] = row.children;
    const link = name.firstChild;
    setText(link, service.name);
    setAttr(link, "href", linkTo("services", service.name));
    setAttr(link, "title", service.name);
    setHealthBar(health.firstChild, service);
    setText(up, text.up(service.passing + service.warning, service.total));
    chips(types, service.types, 1);
    chips(zones, service.zones, 2);
    chips(tags, service.tags, 3);
    changed(row, service, this.store);
    if (isNews) flash(row);
  }
}

function makeRow() {
  return [cell("name", h("a", { href: "#/", class: "ext" })), cell("health", healthBar()), cell("instances"), cell("types"), cell("zones"), cell("tags"), cell("changed", h("span"))];
}

function changed(row, service, store) {
  const span = row.lastChild.firstChild;
  const isRecent = store.isRecent(service);
  row.classList.toggle("recent", isRecent);
  setText(span, service.changedMs ? `${T.kinds[service.changedBy] || service.changedBy} ${ago(service.changedMs)}` : "");
}

function flash(row) {
  row.classList.remove("fresh");
  requestAnimationFrame(() => row.classList.add("fresh"));
}
