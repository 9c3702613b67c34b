// Leases as rings that shrink. Renewals make no events, so what is in sight is asked for, one after the other.
import { enc, get } from "./api.js";
import { coarse, h, nowMs, s, setAttr, setText } from "./dom.js";
import { T } from "./strings.js";

const AROUND = 2 * Math.PI * 7;
const AT_ONCE = 4;

export class Leases {
  constructor() {
    this.known = new Map(); // id: {lease, at}
    this.asked = new Map(); // id: when
    this.running = 0;
    this.ids = () => [];
    this.timer = setInterval(() => this.pump(), 250);
    this.onLease = () => {};
  }

  close() {
    clearInterval(this.timer);
    this.closed = true;
  }

  forget(id) {
    this.asked.delete(id);
  }

  due(id) {
    const last = this.asked.get(id) || 0;
    const ttl = this.known.get(id)?.lease?.ttl || 30;
    return Date.now() - last > Math.min(10000, Math.max(1000, ttl * 150));
  }

  pump() {
    if (document.hidden) return;
    const ids = this.ids();
    for (const id of ids) {
      if (this.running >= AT_ONCE) return;
      if (this.due(id)) this.ask(id);
    }
    if (this.known.size > 2000) {
      const wanted = new Set(ids);
      for (const id of this.known.keys()) if (!wanted.has(id)) [this.known, this.asked].forEach((map) => map.delete(id));
    }
  }

  async ask(id) {
    this.running++;
    this.asked.set(id, Date.now());
    try {
      const lease = await get(`/instances/${enc(id)}`);
      if (!this.closed) {
        this.known.set(id, { lease, at: Date.now() });
        this.onLease(id, lease);
      }
    } catch { /* it is gone, or the replica is */ }
    this.running--;
  }

  // Seconds left now.
  left(id) {
    const found = this.known.get(id);
    if (!found || found.lease.ttl === 0) return null; // nothing is known, or it has no lease
    const { expires_in: left, last_heartbeat: heard, ttl } = found.lease;
    if (left === null) return 0;
    // The replica counts in the time of its log, which stands still while nothing is written.
    return Math.max(0, Math.min(left - (Date.now() - found.at) / 1000, ttl - (nowMs() - Date.parse(heard)) / 1000));
  }

  heardMs(id) {
    const found = this.known.get(id);
    return found ? Date.parse(found.lease.last_heartbeat) : null;
  }
}

export function ring(size = 18) {
  return h("span", { class: "lease" }, s("svg", { viewBox: "0 0 18 18", width: size, height: size, class: "ring", "aria-hidden": "true" },
    s("circle", { cx: 9, cy: 9, r: 7, class: "track" }), s("circle", { cx: 9, cy: 9, r: 7, class: "rest", transform: "rotate(-90 9 9)" })), h("span"));
}

export function setRing(element, left, ttl) {
  const rest = element.querySelector(".rest");
  const share = left === null ? 0 : Math.min(1, left / ttl);
  setAttr(rest, "stroke-dasharray", `${(share * AROUND).toFixed(2)} ${AROUND.toFixed(2)}`);
  element.classList.toggle("low", left !== null && share < 0.2);
  setText(element.lastChild, left === null ? "" : coarse(left));
  if (left !== null) setAttr(element, "title", T.instance.lease(coarse(left), coarse(ttl)));
}
