// Three instances of a service through the client of npm: does as it is told line by line, and prints what it sees.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const Consul = createRequire(process.argv[3] + "/")("consul");
const [host, port] = process.argv[2].split(":");
const client = new Consul({ host, port: Number(port) });
const id = (n) => "node-" + n;
const each = (work) => Promise.all([0, 1, 2].map(work));

const register = (n) => client.agent.service.register({
  id: id(n), name: "node", address: "127.0.0.1", port: 8000 + n, tags: ["v1"], check: { ttl: "60s" },
});
const beat = () => each((n) => client.agent.check.pass({ id: "service:" + id(n), note: "by the client" }));

async function look() {
  const services = await client.catalog.service.list();
  const nodes = await client.catalog.node.list();
  const checks = await client.health.checks({ service: "node" });
  const self = await client.agent.self();
  const own = await client.agent.service.list();
  const leader = await client.status.leader();
  const key = await client.kv.get("nothing/here");
  console.log("looked", self.Config.Datacenter, services.node.join(), nodes.length, checks.length,
    Object.keys(own).length, leader.includes(":"), key === undefined || key === null);
}

const steps = {
  look, beat,
  again: () => register(0),
  fail: () => client.agent.check.fail("service:" + id(0)),
  maintain: () => client.agent.service.maintenance({ id: id(1), enable: true, reason: "by the client" }),
  leave: () => each((n) => client.agent.service.deregister(id(n))),
};

await each(register);
const watch = client.watch({ method: client.health.service, options: { service: "node", passing: true } });
watch.on("change", (found) => console.log("passing", found.length));
watch.on("error", (error) => console.log("error", error.message));
await beat();
for await (const line of createInterface({ input: process.stdin })) {
  const begun = Date.now();
  try {
    await steps[line]();
    console.log("done", line, Date.now() - begun);
  } catch (error) {
    console.log("failed", line, error.message);
  }
}
process.exit(0);
