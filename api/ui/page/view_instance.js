// One instance: everything that is known of it, and its history.
import { askDeregister, askMaintenance } from "./actions.js";
import { enc, get, linkTo, mayWrite } from "./api.js";
import { coarse, duration, h, number, put, setText, timeOf } from "./dom.js";
import { Leases, ring, setRing } from "./lease.js";
import { button, facts, healthMarkOf, section, timeline } from "./parts.js";
import { listEvents } from "./store.js";
import { T } from "./strings.js";
import { addressOf } from "./view_service.js";

const text = T.instance;
const KEPT = 100;
const SHOWN = new Set(["id", "name", "namespace", "type", "host", "port", "tags", "metadata", "weight", "zone", "ttl", "reap_after", "health", "note", "reason", "registered_at", "incarnation", "index", "last_heartbeat", "expires_in", "reaped_in", "checks"]);

export class InstanceView {
  constructor({ store, parts: [id] }) {
    Object.assign(this, { store, id, title: id, instance: null, ofNode: [], events: [], next: store.dropped + store.events.length });
    this.leases = new Leases();
    this.leases.ids = () => [this.id];
    this.leases.onLease = (_, lease) => {
      this.instance = lease;
      this.draw();
    };
    this.head = h("div", { class: "heading" }, h("h1", { class: "ext" }, id));
    this.mark = h("span");
    this.buttons = h("span", { class: "buttons" });
    this.head.append(this.mark, this.buttons);
    this.ring = ring(44);
    this.leaseText = h("div");
    this.details = h("div");
    this.checks = h("ul", { class: "plainlist checks" });
    this.checksCard = section(text.checks, this.checks);
    this.checksCard.hidden = true;
    this.list = h("ol", { class: "timeline" });
    this.element = h("div", { class: "page" }, this.head,
      h("div", { class: "columns" },
        section(text.details, h("div", { class: "bigring" }, this.ring, this.leaseText), this.details),
        h("div", {}, this.checksCard, section(text.history, this.list))));
    this.load();
  }

  close() {
    this.leases.close();
    this.closed = true;
  }

  async load() {
    try {
      this.instance = await get(`/instances/${enc(this.id)}`);
    } catch (error) {
      this.isGone = error.status === 404;
    }
    try {
      const { events } = await listEvents(`&id=${enc(this.id)}`, "", KEPT);
      const held = new Set(events.map((x) => x.id));
      this.events = events.concat(this.events.filter((x) => !held.has(x.id)));
    } catch { /* none are known */ }
    this.draw();
    this.loadOfNode();
  }

  // Those of its node count, too, and are known to the API of Consul alone; a replica may be built without it.
  async loadOfNode() {
    const x = this.instance;
    this.checkedAt = Date.now();
    if (!x || this.isGone) return;
    const quoted = (id) => `"${id.replace(/[\\"]/g, "\\$&")}"`;
    const ids = [x.id, x.id.replace(/@[^@]*$/, "")];
    const filter = ids.map((id) => `Service.ID == ${quoted(id)}`).join(" or ");
    const found = await get(`/v1/health/service/${enc(x.name)}?filter=${enc(filter)}`).catch(() => []);
    const entry = Array.isArray(found) ? found.find(({ Service, Node }) => Service?.ID === x.id || `${Service?.ID}@${Node?.Node}` === x.id) : null;
    this.ofNode = (entry?.Checks || []).filter((check) => !check.ServiceID && check.CheckID !== "serfHealth");
    if (!this.closed) this.drawChecks();
  }

  drawChecks() {
    const own = this.isGone ? [] : this.instance?.checks || [];
    this.checksCard.hidden = own.length + this.ofNode.length === 0;
    const row = (status, name, what, output) => h("li", {}, healthMarkOf(status), " ", h("span", { class: "ext" }, name), what ? h("span", { class: "sub ext" }, what) : null, output ? h("span", { class: "sub ext" }, output) : null);
    put(this.checks,
      own.map((c) => row(c.status, c.name, [c.interval ? `${c.http || c.tcp || c.grpc} · ${text.every(duration(c.interval))} · ` : null, text.since, " ", timeOf(Date.parse(c.changed_at), true)], c.output)),
      this.ofNode.map((c) => row(c.Status, c.Name || c.CheckID, text.ofNode, c.Output)));
  }

  update() {
    const { store } = this;
    if (store.reloads !== this.reloads) {
      this.reloads = store.reloads;
      this.next = -Infinity;
    }
    let took = false;
    for (let i = Math.max(0, this.next - store.dropped); i < store.events.length; i++) {
      const event = store.events[i];
      if (event.instance.id !== this.id || this.events.some((x) => x.id === event.id)) continue;
      took = true;
      this.events.push(event);
      this.isGone = event.event === "deregistered" || event.event === "reaped";
      this.instance = { ...(this.instance || {}), ...event.instance };
      this.leases.forget(this.id);
    }
    this.events = this.events.slice(-KEPT);
    this.next = store.dropped + store.events.length;
    if (took) {
      this.draw();
      this.loadOfNode();
    }
  }

  draw() {
    if (this.closed) return;
    timeline(this.list, this.events, false);
    if (this.events.length === 0) put(this.list, h("li", { class: "dim" }, T.service.noEvents));
    const x = this.instance || this.events[this.events.length - 1]?.instance;
    put(this.mark, this.isGone ? h("span", { class: "count" }, text.gone) : x ? healthMarkOf(x.health) : null);
    this.drawButtons(x);
    if (x) put(this.details, this.factsOf(x));
    this.drawChecks();
    this.tick();
  }

  // Built anew only when they differ: one of them may have the focus.
  drawButtons(x) {
    const isHeld = x?.health === "maintenance";
    const key = x && !this.isGone && mayWrite(x.name) ? `${isHeld}` : "";
    if (this.buttons.dataset.key === key) return;
    this.buttons.dataset.key = key;
    put(this.buttons, key === "" ? null : [
      button(isHeld ? text.maintenanceOff : text.maintenanceOn, () => askMaintenance(x, !isHeld)),
      button(text.deregister, () => askDeregister(x), "danger"),
    ]);
  }

  factsOf(x) {
    const list = (items, make) => items.length ? h("ul", { class: "plainlist" }, items.map(make)) : h("span", { class: "quiet" }, text.none);
    const others = Object.entries(x).filter(([key]) => !SHOWN.has(key)).map(([key, value]) => [key, typeof value === "object" ? h("pre", {}, JSON.stringify(value, null, 2)) : String(value)]);
    return facts([
      [text.service, h("a", { href: linkTo("services", x.name) }, x.name)], [text.address, addressOf(x)],
      x.namespace ? [text.namespace, x.namespace] : null,
      [text.type, x.type || null], [text.zone, x.zone || null], [text.weight, number(x.weight)],
      [text.note, x.note || null], [text.reason, x.reason || null],
      [text.tags, list(x.tags, (tag) => h("li", {}, h("span", { class: "chip" }, tag)))],
      [text.metadata, list(Object.entries(x.metadata), ([key, value]) => h("li", {}, h("span", { class: "key" }, key), " ", value))],
      [text.ttl, x.ttl === 0 ? text.noLease : duration(x.ttl)], [text.reap, x.reap_after === 0 ? text.forGood : duration(x.reap_after)],
      [text.registered, timeOf(Date.parse(x.registered_at), true)],
      x.last_heartbeat ? [text.heard, timeOf(Date.parse(x.last_heartbeat), true)] : null,
      [text.incarnation, String(x.incarnation)], [text.index, String(x.index)], ...others,
    ]);
  }

  tick() {
    if (Date.now() - (this.checkedAt || Date.now()) > 10000) this.loadOfNode();
    const x = this.instance;
    const left = this.isGone ? null : this.leases.left(this.id);
    this.ring.parentElement.hidden = !x || this.isGone || left === null;
    if (!x || left === null) return;
    setRing(this.ring, left, x.ttl);
    const found = this.leases.known.get(this.id);
    const reaped = found.lease.reaped_in === null ? null : Math.max(0, found.lease.reaped_in - (Date.now() - found.at) / 1000);
    const words = left > 0 ? `${text.expiresIn} ${coarse(left)}` : reaped === null ? text.expired : `${text.expired}. ${text.reapedIn} ${coarse(reaped)}`;
    setText(this.leaseText, words);
  }
}
