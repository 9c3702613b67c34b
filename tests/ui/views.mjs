// Each view, with what it must show; pictures of them; the accessibility check.
import { check, checkAccessible, newPage, open, picture, rowOf } from "./browser.mjs";
import { call, Cluster, company, register, registerAll, until } from "./cluster.mjs";

async function withCluster(atEnd, options) {
  const cluster = new Cluster(options);
  atEnd(() => cluster.stop());
  await cluster.start();
  return cluster;
}

async function furnish(replica) {
  await registerAll(replica, company(96));
  for (let i = 0; i < 4; i++) {
    await register(replica, { name: "web", id: `web-${i + 1}`, host: `10.1.0.${i + 10}`, port: 8080, ttl: 240, zone: ["eu-1a", "eu-1b"][i % 2], weight: i + 1, type: "http", tags: ["public", "v2"], metadata: { version: `2.1.${i}`, commit: "9f31c2" } });
  }
  await call(replica, "POST", "/heartbeat", { id: "web-2", status: "warning", note: "disk is slow" });
  await call(replica, "POST", "/heartbeat", { id: "web-3", status: "critical", note: "out of memory" });
  await call(replica, "PUT", "/instances/web-4/maintenance", { enabled: true, reason: "kernel update" });
}

const VIEWS = [
  ["services", "#/services", ".services .space .row"], ["problems", "#/services?sort=health", ".services .space .row"], ["service", "#/services/web", ".instances .space .row .rest[stroke-dasharray]:not([stroke-dasharray^='0.00'])"],
  ["instance", "#/instances/web-2", ".facts dd"], ["events", "#/events", ".table.events .space .row"],
  ["cluster", "#/cluster", ".node.leads"], ["tokens", "#/tokens", ".card .code"], ["not-found", "#/nothing", ".page a"],
];

export async function every_view_is_shown_accessible_and_has_its_picture({ browser, page, atEnd }) {
  const cluster = await withCluster(atEnd);
  await furnish(cluster.replicas[0]);
  const sizes = [["light", { width: 1360, height: 860 }], ["dark", { width: 1360, height: 860 }], ["phone", { width: 390, height: 780 }]];
  for (const [look, viewport] of sizes) {
    const shown = look === "light" ? page : await newPage(browser, { viewport, colorScheme: look === "dark" ? "dark" : "light" });
    for (const [name, route, there] of VIEWS) {
      await open(shown, cluster.replicas[0], route);
      await shown.locator(there).first().waitFor();
      await shown.locator(".state.live").waitFor();
      if (name === "cluster") await shown.locator(".chart .line[d^=M]").first().waitFor({ state: "attached" });
      await shown.waitForTimeout(600);
      await picture(shown, `${name}-${look}`);
      await checkAccessible(shown, `${name} ${look}`);
      const wide = await shown.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} ${look} is ${wide} px too wide`);
    }
  }
}

export async function a_service_appears_expires_and_recovers_before_the_eyes({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one, two] = cluster.replicas;
  await open(page, one);
  await page.locator(".empty .code").waitFor();
  await page.locator(".state.live").waitFor();
  await register(two, { name: "blink", id: "blink-1", host: "10.0.0.1", port: 80, ttl: 2, reap_after: 600 });
  await rowOf(page, "blink").waitFor();
  await rowOf(page, "blink").locator(".part.passing:not([hidden])").waitFor();
  await rowOf(page, "blink").locator(".part.critical:not([hidden])").waitFor();
  await rowOf(page, "blink").locator(".c-changed", { hasText: "expired" }).waitFor();
  await call(two, "POST", "/heartbeat", { id: "blink-1" });
  await rowOf(page, "blink").locator(".part.passing:not([hidden])").waitFor();
  await rowOf(page, "blink").locator(".c-changed", { hasText: "recovered" }).waitFor();
  await call(two, "DELETE", "/instances/blink-1");
  await rowOf(page, "blink").waitFor({ state: "detached" });
  await open(page, one, "#/events");
  await page.waitForFunction(() => [...document.querySelectorAll(".space .kind")].map((x) => x.textContent).slice(0, 4).join() >= "");
  const kinds = await until("all events are listed", async () => {
    const got = await page.locator(".space .row .kind").allTextContents();
    return got.includes("registered") && got;
  });
  check(["deregistered", "recovered", "expired", "registered"].every((kind) => kinds.includes(kind)), `events: ${kinds}`);
}

export async function hostile_texts_are_shown_as_they_are({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one] = cluster.replicas;
  const bad = "<img src=x onerror=window.hit=1><script>window.hit=1</script>\"'`${alert(1)}javascript:alert(1)";
  const name = `<b onmouseover="window.hit=1">x</b>'"&amp;#/services`;
  await register(one, { name, id: `${name}-1`, host: "10.0.0.1", port: 80, ttl: 600, type: "<svg onload=window.hit=1>", zone: "<i>z</i>", tags: ["<script>window.hit=1</script>"], metadata: { [`<a href="javascript:window.hit=1">`]: bad } });
  await call(one, "POST", "/heartbeat", { id: `${name}-1`, status: "warning", note: bad });
  await open(page, one);
  const link = page.locator(".services .space .row a");
  await link.waitFor();
  check(await link.textContent() === name, "the name is shown as it is");
  await link.click();
  await page.locator(".instances .space .row").waitFor();
  check((await page.locator("h1").textContent()) === name, "the title is the name");
  check((await page.locator(".instances .sub").textContent()).includes(bad), "the note is shown as it is");
  await page.locator(".instances .space .row a").click();
  await page.locator("dd", { hasText: bad }).first().waitFor();
  check((await page.locator(".facts").textContent()).includes(`<a href="javascript:window.hit=1">`), "metadata is shown as it is");
  await open(page, one, "#/events");
  await page.locator(".table.events .space .row").first().waitFor();
  const found = await page.evaluate(() => ({ hit: window.hit, made: document.querySelectorAll("main script, main img, main b, main i, a[href^=javascript]").length }));
  check(found.hit === undefined && found.made === 0, `markup came alive: ${JSON.stringify(found)}`);
  await open(page, one, `#/instances/${encodeURIComponent("<img src=x onerror=window.hit=1>")}`);
  await page.locator("h1").waitFor();
  check(await page.evaluate(() => window.hit === undefined && !document.querySelector("main img")), "the address is not markup");
}

export async function the_shares_are_those_of_discovery({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one] = cluster.replicas;
  const specs = [["a", 1, "x", "passing"], ["b", 3, "x", "warning"], ["c", 4, "y", "passing"], ["d", 9, "y", "critical"], ["e", 0, "y", "passing"]];
  for (const [id, weight, zone, health] of specs) await register(one, { name: "web", id, host: "10.0.0.1", port: 80, ttl: 600, weight, zone, health });
  await open(page, one, "#/services/web");
  await page.locator(".instances .space .row").nth(4).waitFor();
  for (const [strategy, near] of [["random", ""], ["weighted", ""], ["weighted", "x"], ["random", "y"], ["first", ""], ["round_robin", ""]]) {
    await page.getByLabel("Strategy").selectOption(strategy);
    await page.getByLabel("Near zone").selectOption(near);
    await page.waitForTimeout(100);
    const shown = Object.fromEntries(await page.evaluate(() => [...document.querySelectorAll(".instances .space .row")].map((row) => [row.querySelector(".sub").textContent, parseFloat(row.querySelector(".c-chosen").textContent) / 100 || 0])));
    const found = {};
    const calls = 1200;
    for (let i = 0; i < calls; i += 60) {
      const got = await Promise.all(Array.from({ length: 60 }, () => call(one, "GET", `/services/web/discover?strategy=${strategy}${near ? `&near=${near}` : ""}`)));
      for (const { body } of got) found[body.id] = (found[body.id] || 0) + 1 / calls;
    }
    for (const [id] of specs) check(Math.abs((found[id] || 0) - (shown[id] || 0)) < 0.07, `${strategy} ${near}: ${id} is shown as ${shown[id]}, and was chosen ${found[id]}`);
  }
}

export async function events_are_held_and_go_on_without_a_gap({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one] = cluster.replicas;
  await register(one, { name: "before", id: "before", host: "10.0.0.1", port: 80, ttl: 600 });
  await open(page, one, "#/events");
  await page.locator(".space .row", { hasText: "before" }).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const specs = Array.from({ length: 7000 }, (_, i) => ({ name: `s${i % 50}`, id: `i${i}`, host: "10.0.0.1", port: 80, ttl: 600 }));
  await registerAll(one, specs);
  await page.locator(".count", { hasText: /waiting/ }).waitFor();
  check(await page.locator(".table.events .space .row").count() === 1, "nothing moves while it is held");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.locator(".count", { hasText: "7,001 events" }).waitFor();
  await page.locator("main input[type=search]").nth(1).fill("before");
  await page.locator(".count", { hasText: "1 event" }).waitFor();
  await page.getByRole("button", { name: "deregistered" }).click();
  await page.locator(".empty", { hasText: "No event matches" }).waitFor();
}

export async function the_keyboard_is_enough({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  await furnish(cluster.replicas[0]);
  await open(page, cluster.replicas[0]);
  await page.locator(".services .space .row").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("web");
  await page.locator(".count", { hasText: /^1 of/ }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".table.services").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "web" }).waitFor();
  await page.locator(".instances .space .row").first().waitFor();
  await page.locator(".table.instances").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "web-1" }).waitFor();
  await page.getByRole("button", { name: "Deregister" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Deregister web-1 of web?" }).waitFor();
  check(await page.evaluate(() => document.activeElement.textContent) === "Cancel", "the harmless choice has the focus");
  await checkAccessible(page, "dialog");
  await picture(page, "dialog-light");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  check(await page.evaluate(() => document.activeElement.textContent) === "Deregister", "the focus is back");
  await page.keyboard.press("Enter");
  await page.locator("dialog button.danger").click();
  await page.locator(".notice", { hasText: "web-1 is deregistered." }).waitFor();
  await page.locator(".count", { hasText: "not registered any more" }).waitFor();
}

export async function an_instance_is_maintained_from_its_service({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one] = cluster.replicas;
  for (const id of ["web-1", "web-2"]) await register(one, { name: "web", id, host: "10.0.0.1", port: 80, ttl: 600 });
  await open(page, one, "#/services/web");
  await page.getByRole("button", { name: "Start maintenance: web-2" }).click();
  await page.getByRole("heading", { name: "Start maintenance of web-2?" }).waitFor();
  await page.locator("dialog input").fill("new disk");
  await page.locator("dialog button[type=submit]").click();
  await page.locator(".row", { hasText: "new disk" }).locator(".mark.maintenance").waitFor();
  await page.getByRole("button", { name: "End maintenance: web-2" }).click();
  await page.locator("dialog button[type=submit]").click();
  await page.locator(".mark.maintenance").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Deregister: web-1" }).click();
  await page.getByRole("heading", { name: "Deregister web-1 of web?" }).waitFor();
  await page.locator("dialog button[type=submit]").click();
  await page.locator(".instances .space .row", { hasText: "web-1" }).waitFor({ state: "detached" });
}

export async function checks_and_what_has_no_lease_are_shown({ page, atEnd }) {
  const cluster = await withCluster(atEnd);
  const [one] = cluster.replicas;
  await call(one, "PUT", "/v1/agent/service/register", { Name: "mesh", ID: "mesh-1", Address: "10.0.0.9", Port: 81, Check: { Name: "its own word", TTL: "600s", Status: "passing" } });
  await call(one, "PUT", "/v1/agent/service/register", { Name: "mesh", ID: "mesh-2", Address: "10.0.0.9", Port: 82 });
  await open(page, one, "#/services/mesh");
  await page.locator(".instances .space .row").nth(1).waitFor();
  await picture(page, "mesh-light");
  await page.locator(".instances a", { hasText: "10.0.0.9:81" }).click();
  await page.locator(".checks li", { hasText: "its own word" }).locator(".mark.passing").waitFor();
  await call(one, "POST", "/register", { id: "run-1", name: "run", host: "10.0.0.9", port: 83, checks: [{ name: "the port", tcp: "127.0.0.1:1", interval: "24h" }] });
  const { body } = await call(one, "GET", "/services/mesh?health=any");
  await picture(page, "checks-light");
  await open(page, one, "#/instances/run-1");
  await page.locator(".checks li", { hasText: "the port" }).locator(".sub", { hasText: "127.0.0.1:1" }).waitFor();
  await open(page, one, `#/instances/${encodeURIComponent(body.instances.find((x) => x.port === 82).id)}`);
  await page.locator("dd", { hasText: "it stays until it is deregistered" }).waitFor();
}
