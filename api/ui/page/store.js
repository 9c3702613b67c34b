// The copy of the registry that the page shows: a listing first, then kept current by one event stream.
import { enc, get } from "./api.js";
import { nowMs } from "./dom.js";
import { readStream } from "./stream.js";

const EVENTS_KEPT = 4000;
const INSTANCES_MAX = 200000; // with more than these the page asks for counts instead
const BACKLOG = 400; // events that a fresh page would like to have

export const STATES = ["critical", "warning", "maintenance", "passing"]; // the worst first
const REMOVES = new Set(["deregistered", "reaped"]);

// "17.1641": index of the log, and position in it.
export function compareIds(a, b) {
  const [i, j] = [a.split("."), b.split(".")];
  if (Number(i[0]) !== Number(j[0])) return Number(i[0]) - Number(j[0]);
  if (i[1].length !== j[1].length) return i[1].length - j[1].length;
  return i[1] < j[1] ? -1 : Number(i[1] > j[1]);
}

class Service {
  constructor(name) {
    this.name = name;
    this.lower = name.toLowerCase();
    this.passing = this.warning = this.critical = this.maintenance = this.total = 0;
    this.types = this.tags = this.zones = [];
    this.members = new Map();
    this.changedMs = 0;
    this.changedBy = "";
    this.rev = 0; // grows with each change
    this.labelsOld = false;
  }

  // Types, tags and zones of its instances, each once.
  labels() {
    if (!this.labelsOld) return;
    const [types, tags, zones] = [new Set(), new Set(), new Set()];
    for (const instance of this.members.values()) {
      if (instance.type) types.add(instance.type);
      if (instance.zone) zones.add(instance.zone);
      for (const tag of instance.tags) tags.add(tag);
    }
    [this.types, this.tags, this.zones] = [types, tags, zones].map((set) => [...set].sort());
    this.labelsOld = false;
  }
}

const NO_TAGS = [];

export class Store {
  constructor() {
    this.services = new Map();
    this.events = []; // the newest last
    this.dropped = 0; // from the front of it: events[i] is number dropped + i
    this.position = ""; // behind which the stream goes on
    this.synced = false;
    this.loaded = false;
    this.polls = false;
    this.generation = 0;
    this.structure = 0; // grows when services come and go
    this.reloads = 0; // grows when events were put in front
    this.count = 0; // instances
    this.listeners = new Set();
    this.waits = false;
    this.stop = new AbortController(); // of listings
    this.cut = null; // of the stream
    this.awake = null;
    this.wake = null;
    this.onLink = () => {};
    this.since = this.sincePosition = ""; // oldest event of the page before, and how far it was
    this.hasGap = false;
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  // Once a frame, whatever has come meanwhile. While nobody looks, nothing is drawn and nothing piles up.
  touch() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      for (const listener of this.listeners) listener();
    });
  }

  service(name) {
    let found = this.services.get(name);
    if (!found) {
      found = new Service(name);
      this.services.set(name, found);
      this.structure++;
    }
    return found;
  }

  // --- the listing ---

  takeListing(listing) {
    const seen = new Set();
    for (const row of listing.services) {
      const service = this.service(row.name);
      seen.add(row.name);
      if (this.synced && !this.polls) continue;
      Object.assign(service, { passing: row.passing, warning: row.warning, critical: row.critical, maintenance: row.maintenance, total: row.instances, types: row.types, tags: row.tags });
      service.rev++;
    }
    if (this.polls) {
      for (const name of this.services.keys()) if (!seen.has(name)) this.drop(name);
    }
    this.count = listing.services.reduce((sum, row) => sum + row.instances, 0);
    this.loaded = true;
    this.touch();
  }

  drop(name) {
    this.services.delete(name);
    this.structure++;
  }

  // --- what the stream says ---

  takeInstance(instance) {
    const service = this.service(instance.name);
    const before = service.members.get(instance.id);
    const labels = [instance.type, instance.zone, instance.tags.join("\n")].join("\n");
    if (!before || before.labels !== labels) service.labelsOld = true;
    if (this.synced) {
      if (before) service[before.health]--;
      else {
        service.total++;
        this.count++;
      }
      service[instance.health]++;
    }
    service.members.set(instance.id, {
      health: instance.health, type: instance.type, zone: instance.zone, labels, generation: this.generation,
      tags: instance.tags.length ? instance.tags : NO_TAGS,
    });
    service.rev++;
  }

  takeRemoval(instance) {
    const service = this.services.get(instance.name);
    const before = service?.members.get(instance.id);
    if (!before) return;
    service.members.delete(instance.id);
    service.labelsOld = true;
    service.rev++;
    if (this.synced) {
      service[before.health]--;
      service.total--;
      this.count--;
      if (service.members.size === 0) this.drop(service.name);
    }
  }

  mark(event) {
    const service = this.services.get(event.instance.name);
    const at = Date.parse(event.time);
    if (service && at >= service.changedMs) {
      service.changedMs = at;
      service.changedBy = event.event;
      service.rev++;
    }
  }

  takeEvent(event) {
    if (!this.polls) {
      if (REMOVES.has(event.event)) this.takeRemoval(event.instance);
      else this.takeInstance(event.instance);
    }
    this.mark(event);
    this.events.push(event);
    if (this.events.length > EVENTS_KEPT + 1000) {
      this.dropped += 1000;
      this.events = this.events.slice(1000);
    }
  }

  // The copy is complete: what was not presented again is gone.
  takeSynced() {
    for (const [name, service] of this.services) {
      service.passing = service.warning = service.critical = service.maintenance = 0;
      for (const [id, instance] of service.members) {
        if (instance.generation !== this.generation) {
          service.members.delete(id);
          service.labelsOld = true;
        } else {
          service[instance.health]++;
        }
      }
      service.total = service.members.size;
      service.rev++;
      if (service.total === 0) this.drop(name);
    }
    this.count = [...this.services.values()].reduce((sum, service) => sum + service.total, 0);
    this.synced = this.loaded = true;
    this.structure++;
  }

  take(block) {
    if (block.id !== undefined) this.position = block.id;
    if (block.data === "") return;
    const data = JSON.parse(block.data);
    if (data.event === "present") this.takeInstance(data.instance);
    else if (data.event === "synced") {
      this.takeSynced();
      this.backlog();
    } else if (data.event === "reset") {
      this.generation++;
      this.synced = false;
      this.hasGap = true;
      this.onLink("reset");
    } else if (data.instance) this.takeEvent(data);
    this.touch();
  }

  // --- events from before ---

  prepend(older) {
    this.events = older.concat(this.events);
    this.dropped -= older.length;
  }

  // Those behind `since`, or about as many as one would like to see.
  async backlog() {
    try {
      const list = await this.listBacklog();
      const newest = this.events.length ? this.events[0].id : null;
      const older = list.filter((event) => newest === null || compareIds(event.id, newest) < 0);
      this.prepend(older);
      for (const event of this.events) this.mark(event);
    } catch { /* the stream says what comes now */ }
    this.reloads++;
    this.touch();
  }

  // From the oldest event that the page before had on, that one included.
  async listSince() {
    let isReset = false;
    const before = `${Math.max(0, Number(this.since.split(".")[0]) - 1)}.0`;
    const { events } = await listEvents("", before, EVENTS_KEPT, (got) => { isReset ||= got.reset; });
    this.hasGap ||= isReset && (events.length === 0 || compareIds(events[0].id, this.sincePosition) > 0);
    return events;
  }

  async listBacklog() {
    if (this.since) return this.listSince();
    const newest = await get("/events?limit=1");
    if (!newest.last) return [];
    const last = Number(newest.last.split(".")[0]);
    const first = Number(newest.first.split(".")[0]);
    for (let span = 1000; ; span *= 8) {
      const after = Math.max(0, last - span);
      const { events } = await listEvents("", after > first ? `${after}.0` : "", EVENTS_KEPT);
      if (events.length >= BACKLOG || after <= first) return events;
    }
  }

  // --- the link ---

  async run() {
    let wait = 100;
    while (!this.isClosed) {
      await this.awake;
      const began = Date.now();
      const from = this.position ? `&after=${enc(this.position)}` : "";
      if (!this.position) this.generation++;
      this.cut = new AbortController();
      try {
        await readStream(`/events?${this.polls ? "" : "snapshot=true"}${from}`, this.cut.signal, () => this.onLink("open"), (block) => this.take(block));
      } catch (error) {
        if (error.status === 401 || error.status === 403) {
          this.onLink("denied");
          return;
        }
      }
      if (this.isClosed) return;
      if (this.wake) continue;
      this.onLink("lost");
      wait = Date.now() - began > 5000 ? 100 : Math.min(wait * 1.6, 1500);
      await new Promise((done) => setTimeout(done, wait + Math.random() * 100));
    }
  }

  // A browser has few connections for one replica, and tabs that nobody sees would take them all. The stream goes on
  // behind its last event.
  sleep() {
    if (this.wake || !this.cut) return;
    this.awake = new Promise((done) => { this.wake = done; });
    this.cut.abort();
  }

  wakeUp() {
    this.wake?.();
    this.wake = null;
  }

  async poll() {
    let index = 0;
    while (!this.isClosed) {
      try {
        const listing = await get(`/services${index ? `?index=${index}&wait=10s` : ""}`, { signal: this.stop.signal });
        index = listing.index;
        this.synced = true;
        this.takeListing(listing);
      } catch { /* the stream tells that the replica is away */ }
      await new Promise((done) => setTimeout(done, 2000));
    }
  }

  // The first picture is not to wait for all instances.
  async load() {
    const listing = await get("/services", { signal: this.stop.signal }).catch(() => null);
    if (!listing) return;
    this.polls = listing.services.reduce((sum, row) => sum + row.instances, 0) > INSTANCES_MAX;
    this.takeListing(listing);
  }

  start() {
    if (this.polls) {
      this.onLink("polling");
      this.poll();
    }
    this.run();
  }

  close() {
    this.isClosed = true;
    this.stop.abort();
    this.cut?.abort();
    this.wakeUp();
    this.listeners.clear();
  }

  totals() {
    const sum = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
    for (const service of this.services.values()) for (const state of STATES) sum[state] += service[state];
    return sum;
  }

  isRecent(service) {
    return service.changedMs > nowMs() - 120000;
  }
}

// The newest `most` events that a query has, behind an id.
export async function listEvents(query, after, most, look) {
  let events = [];
  for (let page = 0; page < 40; page++) {
    const got = await get(`/events?limit=2000${query}${after ? `&after=${enc(after)}` : ""}`);
    look?.(got);
    events = events.concat(got.events).slice(-most);
    if (!got.next) break;
    after = got.next;
  }
  return { events };
}
