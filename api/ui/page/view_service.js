// One service: its instances, what discovery answers, how to ask, and what happened.
import { askDeregister, askMaintenance } from "./actions.js";
import { enc, get, linkTo, mayWrite, session } from "./api.js";
import { ago, h, put, setAttr, setText } from "./dom.js";
import { Leases, ring, setRing } from "./lease.js";
import { chips, code, healthBar, healthMark, section, select, setHealthBar, setHealthMark, setOptions, timeline, button } from "./parts.js";
import { listEvents } from "./store.js";
import { T } from "./strings.js";
import { cell, VirtualTable } from "./virtual.js";

const text = T.service;
const PAGE = 10000;
const KEPT = 100;
const COLUMNS = ["health", "instance", "zone", "weight", "chosen", "lease", "heard", "details", "actions"].map((name) => ({ name, label: text.columns[name] }));
const byId = (a, b) => a.id < b.id ? -1 : Number(a.id > b.id);

export class ServiceView {
  constructor({ store, parts: [name] }) {
    Object.assign(this, { store, name, title: name, instances: new Map(), events: [], next: store.dropped + store.events.length });
    this.leases = new Leases();
    this.leases.ids = () => this.table.visible().map((x) => x.id);
    this.leases.onLease = () => this.tick();
    this.writes = mayWrite(name);
    this.strategy = "random";
    this.near = "";
    this.build();
    this.load();
  }

  build() {
    this.bar = healthBar();
    this.counts = h("span", { class: "count" });
    this.gone = h("p", { class: "empty", hidden: true }, text.gone);
    this.table = new VirtualTable({ label: text.instances, className: this.writes ? "instances writes" : "instances", columns: COLUMNS, key: (x) => x.id, make: makeRow, update: (row, x) => this.updateRow(row, x) });
    this.list = h("ol", { class: "timeline" });
    this.answer = h("p", { class: "answer ext", role: "status" });
    const strategies = Object.entries(text.strategies);
    this.nearSelect = select(text.near, [["", text.anyZone]], "", (zone) => this.choose({ near: zone }));
    this.element = h("div", { class: "page" },
      h("div", { class: "heading" }, h("h1", { class: "ext" }, this.name), this.counts, this.bar),
      section(text.instances, this.table.element, this.gone),
      h("div", { class: "columns" },
        h("div", {}, section(text.discover, h("div", { class: "tools" }, select(text.strategy, strategies, this.strategy, (strategy) => this.choose({ strategy })), this.nearSelect, button(text.ask, () => this.askNow())),
          h("p", { class: "quiet" }, text.answer), this.answer, h("p", { class: "quiet" }, text.shares)), section(text.calls, this.callsOf())),
        section(text.timeline, this.list)));
  }

  callsOf() {
    const at = `${location.origin}/services/${enc(this.name)}`;
    const space = session.space ? `-H 'X-Muster-Namespace: ${session.space}' ` : "";
    const token = session.token ? "-H \"Authorization: Bearer $MUSTER_TOKEN\" " : "";
    const quoted = `'${this.name.replace(/'/g, "'\\''")}'`;
    return [
      code(text.curlDiscover, `curl ${token}${space}'${at}/discover'`),
      code(text.curlList, `curl ${token}${space}'${at}'`),
      code(text.curlWatch, `curl -N ${token}${space}-H 'Accept: text/event-stream' '${location.origin}/events?service=${enc(this.name)}&snapshot=true'`),
      code(text.shell, `muster --server ${location.origin} ${session.space ? `--namespace ${session.space} ` : ""}watch ${/^[\w.-]+$/.test(this.name) ? this.name : quoted}`),
      code(text.consul, `curl ${token}${space}'${location.origin}/v1/health/service/${enc(this.name)}?passing'\nexport CONSUL_HTTP_ADDR=${location.origin}`),
      /^[\w-]+$/.test(this.name) ? code(text.dns, `dig @${location.hostname.replace(/[[\]]/g, "")} -p 8600 ${this.name}.service.${session.space ? `${session.space}.ns.` : ""}consul SRV`) : null,
    ];
  }

  close() {
    this.leases.close();
    this.table.close();
    this.closed = true;
  }

  async load() {
    const at = this.store.dropped + this.store.events.length;
    try {
      const got = await get(`/services/${enc(this.name)}?health=any&limit=${PAGE}`);
      if (this.closed) return;
      this.instances = new Map(got.instances.map((x) => [x.id, x]));
      this.more = Boolean(got.next);
      this.next = Math.min(this.next, at);
      const { events } = await listEvents(`&service=${enc(this.name)}`, "", KEPT);
      this.events = events;
    } catch { /* the page says that the replica is away, and loads again */ }
    this.loaded = true;
    this.update();
    this.askNow();
  }

  // What has come on the stream since.
  takeEvents() {
    const { store } = this;
    let took = false;
    for (let i = Math.max(0, this.next - store.dropped); i < store.events.length; i++) {
      const event = store.events[i];
      if (event.instance.name !== this.name) continue;
      if (this.events.some((x) => x.id === event.id)) continue;
      took = true;
      this.events.push(event);
      const known = this.instances.get(event.instance.id);
      if (known && known.index > event.instance.index) continue;
      if (event.event === "deregistered" || event.event === "reaped") this.instances.delete(event.instance.id);
      else this.instances.set(event.instance.id, event.instance);
      this.leases.forget(event.instance.id);
    }
    this.events = this.events.slice(-KEPT);
    this.next = store.dropped + store.events.length;
    return took;
  }

  update() {
    if (!this.loaded) return;
    if (this.store.reloads !== this.reloads) {
      this.reloads = this.store.reloads;
      this.next = -Infinity;
    }
    const changed = this.takeEvents();
    if (this.drawn && !changed) return;
    this.drawn = true;
    const list = [...this.instances.values()].sort(byId);
    this.shares = sharesOf(list, this.strategy, this.near);
    const rows = Math.min(list.length, 12);
    this.table.element.hidden = list.length === 0;
    this.table.element.style.setProperty("--rows", rows);
    this.gone.hidden = list.length > 0;
    this.table.setItems(list);
    this.summary(list);
    timeline(this.list, this.events, true);
    if (this.events.length === 0) put(this.list, h("li", { class: "dim" }, text.noEvents));
    if (changed) this.askSoon();
  }

  summary(list) {
    const counts = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
    for (const x of list) counts[x.health]++;
    setHealthBar(this.bar, counts);
    this.bar.hidden = list.length === 0;
    setText(this.counts, this.more ? text.more(list.length, this.store.services.get(this.name)?.total || list.length) : T.services.instances(list.length));
    const zones = [...new Set(list.map((x) => x.zone).filter(Boolean))].sort();
    setOptions(this.nearSelect.lastChild, [["", text.anyZone], ...zones.map((x) => [x, x])], this.near);
    this.nearSelect.hidden = zones.length === 0;
  }

  choose(change) {
    Object.assign(this, change);
    this.drawn = false;
    this.update();
    this.askNow();
  }

  askSoon() {
    if (this.asking) return;
    this.asking = setTimeout(() => {
      this.asking = 0;
      this.askNow();
    }, 500);
  }

  async askNow() {
    if (this.closed) return;
    try {
      const x = await get(`/services/${enc(this.name)}/discover?strategy=${this.strategy}${this.near ? `&near=${enc(this.near)}` : ""}`);
      put(this.answer, h("a", { href: linkTo("instances", x.id) }, addressOf(x)), ` (${x.id})`);
    } catch (error) {
      if (error.code === "no_healthy_instance") setText(this.answer, text.none);
      else if (error.status) setText(this.answer, error.message);
    }
  }

  tick() {
    for (const row of this.table.rows.values()) if (row.instance) this.clock(row, row.instance);
  }

  clock(row, x) {
    const lease = row.children[5].firstChild;
    lease.classList.toggle("none", x.ttl === 0);
    setRing(lease, this.leases.left(x.id), x.ttl);
    const heard = this.leases.heardMs(x.id);
    setText(row.children[6], heard === null ? "" : ago(heard));
  }

  updateRow(row, x) {
    const share = this.shares.get(x.id) || 0;
    if (row.instance === x && row.share === share) return;
    row.instance = x;
    row.share = share;
    const [health, instance, zone, weight, chosen, , , details, actions] = row.children;
    setHealthMark(health.firstChild, x.health);
    const [link, id] = instance.children;
    setText(link, addressOf(x));
    setAttr(link, "href", linkTo("instances", x.id));
    const note = x.health === "maintenance" ? x.reason : x.note;
    setText(id, note ? `${x.id} · ${note}` : x.id);
    setAttr(id, "title", id.textContent);
    setText(zone, x.zone);
    setText(weight, x.weight);
    setText(chosen, share === 0 ? "–" : `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`);
    const metadata = Object.entries(x.metadata).map(([key, value]) => `${key}=${value}`);
    chips(details, [...x.tags, ...metadata], 4);
    if (this.writes) setActions(actions, x);
    this.clock(row, x);
  }
}

export const addressOf = (x) => `${x.host.includes(":") ? `[${x.host}]` : x.host}:${x.port}`;

function makeRow() {
  return [cell("health", healthMark()), cell("instance", h("a", { href: "#/", class: "ext" }), h("span", { class: "sub ext" })), cell("zone"), cell("weight"), cell("chosen"), cell("lease", ring()), cell("heard"), cell("details"), cell("actions")];
}

function setActions(parent, x) {
  const isHeld = x.health === "maintenance";
  parent.instance = x;
  const key = `${x.id}/${isHeld}`;
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  const act = (label, name, work, className) => {
    const it = button(label, () => work(parent.instance), `plain small ${className}`);
    setAttr(it, "aria-label", `${name}: ${x.id}`);
    return it;
  };
  put(parent, act(isHeld ? text.end : text.maintain, isHeld ? T.instance.maintenanceOff : T.instance.maintenanceOn, (now) => askMaintenance(now, !isHeld), ""), act(T.instance.deregister, T.instance.deregister, askDeregister, "danger"));
}

// How often each is the answer, as server/base/choose.h chooses: near ones first, and of those by strategy.
export function sharesOf(list, strategy, near) {
  let able = list.filter((x) => x.health === "passing" || x.health === "warning");
  const close = near ? able.filter((x) => x.zone === near) : [];
  if (strategy === "weighted") {
    const heavy = (some) => some.filter((x) => x.weight > 0);
    able = [heavy(close), heavy(able), close, able].find((some) => some.length > 0) || [];
  } else if (close.length > 0) able = close;
  if (strategy === "first") able = able.slice(0, 1);
  const weigh = strategy === "weighted" && able.some((x) => x.weight > 0) ? (x) => x.weight : () => 1;
  const sum = able.reduce((total, x) => total + weigh(x), 0);
  return new Map(able.map((x) => [x.id, weigh(x) / sum]));
}
