// How the page hangs on its replica: is it there, how current is it, and where to go when it is not.
import { call, get, heard, may, session, target } from "./api.js";
import { T } from "./strings.js";

const POLL_MS = 2000;
const METRICS_MS = 5000;
const SAMPLES = 180; // 15 minutes
const PATIENCE_MS = 1200; // until others are asked

export class Link {
  constructor(store) {
    this.store = store;
    this.state = "connecting"; // "live", "lost", "denied"
    this.lostAt = 0;
    this.health = null;
    this.cluster = null;
    this.metrics = null;
    this.samples = [];
    this.onNotice = () => {};
    this.onDenied = () => {};
    this.timers = [];
    this.isMoving = false;
    store.onLink = (what) => this.take(what);
  }

  start() {
    this.every(POLL_MS, () => this.pollHealth());
    this.every(METRICS_MS, () => this.pollMetrics());
    this.every(500, () => this.seek());
  }

  every(ms, work) {
    const run = async () => {
      await work().catch(() => {});
      if (!this.isClosed) this.timers[slot] = setTimeout(run, ms);
    };
    const slot = this.timers.push(0) - 1;
    this.timers[slot] = setTimeout(run, slot * 150);
  }

  close() {
    this.timers.forEach(clearTimeout);
    this.isClosed = this.isMoving = true;
  }

  name() {
    return this.health?.name || this.glance?.name || location.host;
  }

  take(what) {
    if (what === "open") {
      this.state = "live";
      this.lostAt = 0;
      this.onNotice("link", "");
    } else if (what === "lost" && this.state !== "lost") {
      this.state = "lost";
      this.lostAt = Date.now();
    } else if (what === "denied") {
      this.state = "denied";
      this.onDenied();
    } else if (what === "reset") this.onNotice("reset", T.link.reset);
    else if (what === "polling") this.onNotice("polling", T.link.polling);
  }

  // Seconds by which what is shown may be old.
  staleness() {
    const since = heard.at ? Date.now() - heard.at : 0;
    const lost = this.lostAt ? Date.now() - this.lostAt : 0;
    return (heard.stalenessMs + Math.max(lost, since > 2 * POLL_MS ? since : 0)) / 1000;
  }

  async pollHealth() {
    this.health = await get("/health", { anyStatus: true, timeoutMs: 4000 });
    if (may("status")) this.cluster = await get("/cluster", { timeoutMs: 4000 });
    this.store.touch();
  }

  async pollMetrics() {
    if (!may("metrics")) return;
    const now = performance.now();
    const metrics = parseMetrics(await call("GET", "/metrics", undefined, { text: true, timeoutMs: 4000 }));
    if (this.metrics) this.samples.push(sample(this.metrics, metrics, (now - this.metricsAt) / 1000));
    if (this.samples.length > SAMPLES) this.samples.shift();
    this.metrics = metrics;
    this.metricsAt = now;
    this.store.touch();
  }

  // --- another member ---

  origins() {
    const members = this.cluster?.members || [];
    return members.filter((m) => !m.self && m.http && m.role !== "spare").map((m) => ({ name: m.name, origin: `${location.protocol}//${m.http}` }));
  }

  async seek() {
    if (this.state !== "lost" || this.isMoving || Date.now() - this.lostAt < PATIENCE_MS) return;
    const others = this.origins();
    const here = answers(target("/health/live"));
    const found = await Promise.any(others.map(async (other) => {
      if (!await answers(`${other.origin}/health/live`)) throw new Error();
      return other;
    })).catch(() => null);
    if (await here || this.state !== "lost" || this.isMoving) return;
    if (!found) this.onNotice("link", T.link.noOther);
    else this.move(found);
  }

  // By navigation: a page changes things only from the replica's own origin. What it knows goes behind the #, which
  // browsers do not send.
  move(other) {
    this.isMoving = true;
    this.onNotice("link", T.link.moving(other.name));
    const isListed = this.cluster.members.some((m) => m.self && m.http === location.host);
    const state = {
      from: this.name(), route: location.hash, since: this.store.events.length ? this.store.events[0].id : this.store.position,
      position: this.store.position, token: isListed ? session.token : "", signedIn: Boolean(session.token), space: session.space,
    };
    location.replace(`${other.origin}/ui/#move=${enc64(JSON.stringify(state))}`);
  }
}

// Something speaks HTTP there; what it says is not for us to read.
async function answers(url) {
  try {
    await fetch(url, { mode: "no-cors", cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(1500) });
    return true;
  } catch {
    return false;
  }
}

const enc64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const dec64 = (text) => new TextDecoder().decode(Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)));

// What a page that moved here has brought along; null: none has. It is taken out of the address at once. A token
// counts only from a page of a member: else another page could sign somebody in as it likes.
export async function arrive() {
  if (!location.hash.startsWith("#move=")) return null;
  let state = null;
  try {
    state = JSON.parse(dec64(location.hash.slice(6)));
  } catch { /* not ours */ }
  const text = (value) => typeof value === "string" ? value : "";
  const route = text(state?.route);
  history.replaceState(null, "", route.startsWith("#/") ? route : location.pathname);
  if (!state) return null;
  const brought = { from: text(state.from), since: text(state.since), position: text(state.position), needsToken: Boolean(state.signedIn) };
  if (/^[a-z0-9][a-z0-9._-]*$/.test(text(state.space))) session.setSpace(state.space);
  if (text(state.token)) brought.needsToken = !await takeToken(state.token);
  return brought;
}

async function takeToken(token) {
  const before = session.token;
  session.token = token;
  try {
    const { members } = await get("/cluster");
    const from = document.referrer ? new URL(document.referrer) : null;
    if (from && from.protocol === location.protocol && members.some((m) => m.http === from.host)) {
      session.setToken(token);
      return true;
    }
  } catch { /* it may not see the members, or is none */ }
  session.token = before;
  return false;
}

// --- metrics ---

function parseMetrics(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (line[0] !== "#" && space > 0) found.set(line.slice(7, space), Number(line.slice(space + 1)));
  }
  return found;
}

// The value that 99 of 100 of the new observations do not exceed, in seconds; null without one.
function quantile(before, now, name) {
  const start = `${name}_bucket{le="`;
  const buckets = [];
  for (const [key, value] of now) {
    if (key.startsWith(start)) {
      const le = key.slice(start.length, -2);
      buckets.push([le === "+Inf" ? Infinity : Number(le), value - (before.get(key) || 0)]);
    }
  }
  buckets.sort((a, b) => a[0] - b[0]);
  const all = buckets.length ? buckets[buckets.length - 1][1] : 0;
  if (all <= 0) return null;
  const found = buckets.findIndex(([, count]) => count >= all * 0.99);
  const le = buckets[found][0];
  return Number.isFinite(le) ? le : buckets[found - 1]?.[0] ?? null;
}

function sample(before, now, seconds) {
  const rate = (name) => Math.max(0, ((now.get(name) || 0) - (before.get(name) || 0)) / seconds);
  return {
    at: Date.now(), loop: quantile(before, now, "loop_delay_seconds"), commit: quantile(before, now, "commit_seconds"),
    writes: rate("operations_applied_total"), reads: rate("http_requests_total"),
  };
}
