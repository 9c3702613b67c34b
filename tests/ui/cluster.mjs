// Three replicas of a test, and calls to them.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MUSTERD = join(process.env.MUSTER_BIN, "musterd");

function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

export async function until(what, condition, withinMs = 20000, everyMs = 50) {
  const end = Date.now() + withinMs;
  for (;;) {
    const got = await condition();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((next) => setTimeout(next, everyMs));
  }
}

export class Cluster {
  constructor(options = []) {
    this.options = options;
    this.scheme = "http";
    this.folder = mkdtempSync(join(tmpdir(), "muster-ui-"));
    this.replicas = [];
  }

  // Certificates of its own, which these tests do not look at.
  useTls() {
    execFileSync(join(process.env.MUSTER_BIN, "muster"), ["tls", "init", "--out", join(this.folder, "tls"), "all=127.0.0.1"]);
    this.options = [...this.options, "--tls-cert", join(this.folder, "tls/all.pem"), "--tls-key", join(this.folder, "tls/all-key.pem")];
    this.scheme = "https";
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  }

  async start() {
    for (let id = 1; id <= 3; id++) this.replicas.push({ id, http: await freePort(), peer: await freePort() });
    this.members = this.replicas.map((r) => `${r.id}=127.0.0.1:${r.peer}`).join(",");
    for (const r of this.replicas) {
      r.url = `${this.scheme}://127.0.0.1:${r.http}`;
      this.run(r);
    }
    await until("all replicas are ready", async () => (await Promise.all(this.replicas.map((r) => isReady(r)))).every(Boolean), 60000);
  }

  run(r) {
    const log = openSync(join(this.folder, `musterd-${r.id}.log`), "a");
    const options = ["--id", r.id, "--http", `127.0.0.1:${r.http}`, "--peer", `127.0.0.1:${r.peer}`, "--data", join(this.folder, `data-${r.id}`), "--cluster", this.members, ...this.options];
    r.process = spawn(MUSTERD, options.map(String), { stdio: ["ignore", log, log] });
    r.ended = new Promise((done) => r.process.on("exit", done));
  }

  async kill(r) {
    r.process.kill("SIGKILL");
    await r.ended;
  }

  async stop() {
    for (const r of this.replicas) r.process.kill("SIGTERM");
    await Promise.all(this.replicas.map((r) => r.ended));
    rmSync(this.folder, { recursive: true, force: true });
  }

  async leader() {
    for (const r of this.replicas) {
      const got = await call(r, "GET", "/health").catch(() => null);
      if (got?.body.role === "leader") return r;
    }
    return null;
  }
}

const isReady = (r) => fetch(`${r.url}/health/ready`).then((got) => got.ok, () => false);

export async function call(r, method, path, body, token) {
  const headers = { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const got = await fetch(r.url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await got.text();
  return { status: got.status, headers: got.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}

export async function register(r, spec, token) {
  const got = await call(r, "POST", "/register", spec, token);
  if (got.status >= 300) throw new Error(`${JSON.stringify(spec)}: ${got.status} ${JSON.stringify(got.body)}`);
  return got.body;
}

// Many at a time, as the cluster takes them together.
export async function registerAll(r, specs, atOnce = 64) {
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < specs.length) await register(r, specs[next++]);
  }));
}

const AREAS = ["checkout", "catalog", "search", "orders", "billing", "identity", "shipping", "reports", "media", "ledger", "pricing", "stock"];
const PARTS = ["api", "worker", "cache", "db", "gateway", "scheduler", "indexer", "mailer"];

// Services as a company has them: `count` of them, with one to four instances.
export function company(count, ttl = 3600) {
  const specs = [];
  for (let i = 0; i < count; i++) {
    const round = Math.floor(i / (AREAS.length * PARTS.length));
    const part = PARTS[Math.floor(i / AREAS.length) % PARTS.length];
    const name = `${AREAS[i % AREAS.length]}-${part}${round ? `-${round}` : ""}`;
    for (let k = 0; k < 1 + (i * 7) % 4; k++) {
      specs.push({
        name, id: `${name}-${k + 1}`, host: `10.${i % 200}.${(i >> 3) % 250}.${k + 10}`, port: 8000 + (i % 500), ttl, type: ["http", "grpc", "tcp"][i % 3],
        zone: ["eu-1a", "eu-1b", "eu-1c"][(i + k) % 3], weight: 1 + (k === 0 ? 3 : 0), tags: [part, i % 5 === 0 ? "beta" : "stable", `v${1 + (i % 3)}.${i % 10}`],
        metadata: { team: AREAS[i % AREAS.length], commit: (i * 2654435761 % 4294967296).toString(16) },
        health: i % 37 === 5 && k === 0 ? "critical" : i % 23 === 4 && k === 0 ? "warning" : "passing",
      });
    }
  }
  return specs;
}
