// The replica behind the page dies: the page goes on at another member, and no event is missing.
import { connect, createServer } from "node:net";
import { check, checkAccessible, checkClean, newPage, note, open, picture, signIn } from "./browser.mjs";
import { call, Cluster, register, registerAll, until } from "./cluster.mjs";

async function begin(atEnd, options) {
  const cluster = new Cluster(options);
  atEnd(() => cluster.stop());
  await cluster.start();
  return cluster;
}

const idsOf = (page) => page.evaluate(async () => {
  const table = document.querySelector(".table.events");
  const seen = new Set();
  for (let top = 0; top <= table.scrollHeight; top += 300) {
    table.scrollTop = top;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const link of table.querySelectorAll(".space .c-instance a")) seen.add(link.textContent);
  }
  return [...seen];
});

export async function the_page_moves_when_its_replica_is_killed_and_misses_no_event({ page, atEnd }) {
  const cluster = await begin(atEnd);
  const leader = await until("there is a leader", () => cluster.leader());
  const mine = cluster.replicas.find((r) => r !== leader);
  const other = cluster.replicas.find((r) => r !== leader && r !== mine);
  await open(page, mine, "#/events");
  await page.locator(".state.live").waitFor();
  const made = [];
  let running = true;
  const writing = (async () => {
    for (let i = 0; running; i++) {
      await register(other, { name: "flow", id: `flow-${i}`, host: "10.0.0.1", port: 80, ttl: 600 });
      made.push(`flow-${i}`);
      await new Promise((next) => setTimeout(next, 20));
    }
  })();
  await page.locator(".space .row").nth(10).waitFor();
  const killedAt = Date.now();
  await cluster.kill(mine);
  await page.locator(".state.lost").waitFor();
  await picture(page, "lost-light");
  await page.waitForURL((url) => url.origin !== mine.url, { timeout: 20000 });
  await page.locator(".notice.good", { hasText: "No event was missed" }).waitFor();
  note("moved_after_ms", Date.now() - killedAt);
  running = false;
  await writing;
  await picture(page, "moved-light");
  check(new URL(page.url()).hash === "#/events", `it is where it was: ${page.url()}`);
  await page.locator(".space .row", { hasText: made[made.length - 1] }).first().waitFor();
  const seen = new Set(await idsOf(page));
  const missing = made.filter((id) => !seen.has(id));
  check(missing.length === 0, `${missing.length} of ${made.length} events are missing: ${missing.slice(0, 5)}`);
  note("events_across_the_move", made.length);
  await page.locator("nav a.cluster").click();
  await page.locator(".troubles .bad", { hasText: "cannot be reached" }).waitFor();
  await picture(page, "cluster-trouble-light");
}

export async function a_token_moves_with_the_page_and_stays_out_of_the_address({ page, atEnd }) {
  const cluster = await begin(atEnd, ["--anonymous", "none"]);
  const [one] = cluster.replicas;
  const token = (await call(one, "POST", "/tokens/bootstrap")).body.token;
  await register(one, { name: "web", id: "web-1", host: "10.0.0.1", port: 80, ttl: 600 }, token);
  await open(page, one);
  await signIn(page, token);
  await page.locator(".space .row").waitFor();
  await page.waitForTimeout(2500); // it has heard who the members are
  await cluster.kill(one);
  await page.waitForURL((url) => url.origin !== one.url, { timeout: 20000 });
  await page.locator(".account .who").waitFor();
  await page.locator(".space .row").waitFor();
  check(!page.url().includes("move="), "the address says nothing of it");
}

export async function over_tls_the_page_moves_as_well({ browser, atEnd }) {
  const cluster = new Cluster();
  atEnd(() => cluster.stop());
  cluster.useTls();
  await cluster.start();
  const page = await newPage(browser, { ignoreHTTPSErrors: true });
  const [one, two] = cluster.replicas;
  await register(two, { name: "web", id: "web-1", host: "10.0.0.1", port: 80, ttl: 600 });
  await open(page, one);
  await page.locator(".space .row").waitFor();
  await page.waitForTimeout(2500);
  await cluster.kill(one);
  await page.waitForURL((url) => url.origin !== one.url && url.protocol === "https:", { timeout: 20000 });
  await page.locator(".notice.good").waitFor();
  checkClean(page);
}

export async function without_a_leader_the_page_says_how_old_it_is({ page, atEnd }) {
  const cluster = await begin(atEnd);
  const [one, two, three] = cluster.replicas;
  await open(page, one, "#/cluster");
  await page.locator(".state.live").waitFor();
  await Promise.all([two, three].map((r) => cluster.kill(r)));
  await page.locator(".troubles .bad", { hasText: "Only 1 of 3 voters" }).waitFor();
  await page.locator(".troubles .bad", { hasText: "No leader is known" }).waitFor();
  await page.locator(".state.behind", { hasText: "has not heard from a leader for" }).waitFor();
  await picture(page, "no-leader-light");
  await checkAccessible(page, "no leader");
}

export async function a_token_from_a_stranger_is_not_taken({ page, atEnd }) {
  const cluster = await begin(atEnd);
  const [one] = cluster.replicas;
  const token = (await call(one, "POST", "/tokens/bootstrap")).body.token;
  const state = Buffer.from(JSON.stringify({ from: "x", route: "#/services", since: "", position: "", token, signedIn: true })).toString("base64url");
  await open(page, one, `#move=${state}`);
  await page.locator(".notice", { hasText: "Sign in again" }).waitFor();
  check(await page.locator(".account .who").count() === 0, "nobody is signed in");
  check(await page.evaluate(() => sessionStorage.length) === 0, "nothing is kept");
}

export async function without_another_member_the_page_waits_and_goes_on({ page, atEnd }) {
  const cluster = await begin(atEnd);
  const [one, two, three] = cluster.replicas;
  await register(one, { name: "web", id: "web-1", host: "10.0.0.1", port: 80, ttl: 600 });
  await open(page, one);
  await page.locator(".space .row").waitFor();
  await page.locator(".state.live").waitFor();
  await page.waitForTimeout(2500);
  await Promise.all([one, two, three].map((r) => cluster.kill(r)));
  await page.locator(".notice", { hasText: "no other member can be reached" }).waitFor();
  check(await page.locator(".space .row").count() === 1, "what is known stays in sight");
  await page.locator("body.old").waitFor();
  [one, two, three].forEach((r) => cluster.run(r));
  await page.locator(".state.live").waitFor({ timeout: 60000 });
  await until("writes are taken again", () => register(two, { name: "late", id: "late-1", host: "10.0.0.1", port: 80, ttl: 600 }).catch(() => null));
  await page.locator(".space .row", { hasText: "late" }).waitFor();
  check(await page.locator(".notice").count() === 0, "the notice is gone");
}

// A connection that can be held and cut.
function proxy(port) {
  const pairs = new Set();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far);
    far.pipe(near);
    pair.forEach((socket) => socket.on("error", () => {}).on("close", () => {
      pairs.delete(pair);
      pair.forEach((other) => other.destroy());
    }));
  });
  return {
    listen: () => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port))),
    hold: () => pairs.forEach(([near, far]) => {
      far.unpipe(near);
      far.pause();
    }),
    cut: () => pairs.forEach((pair) => pair.forEach((socket) => socket.destroy())),
    close: () => server.close(),
  };
}

export async function a_stream_that_is_cut_goes_on_behind_its_last_event({ page, atEnd }) {
  const cluster = await begin(atEnd);
  const [one, two] = cluster.replicas;
  const between = proxy(one.http);
  const port = await between.listen();
  atEnd(() => between.close());
  await registerAll(one, Array.from({ length: 300 }, (_, i) => ({ name: `s${i}`, id: `i${i}`, host: "10.0.0.1", port: 80, ttl: 600 })));
  await open(page, { url: `http://127.0.0.1:${port}` }, "#/events");
  await page.locator(".count", { hasText: "300 events" }).waitFor();
  await page.locator(".state.live").waitFor();
  between.hold();
  await registerAll(two, Array.from({ length: 50 }, (_, i) => ({ name: `t${i}`, id: `j${i}`, host: "10.0.0.1", port: 80, ttl: 600 })));
  await page.waitForTimeout(500);
  check(await page.locator(".count", { hasText: "300 events" }).count() === 1, "nothing has come through");
  between.cut();
  await page.locator(".count", { hasText: "350 events" }).waitFor();
  check(new URL(page.url()).port === String(port), "it has stayed where it was");
  await page.locator("nav a.services").click();
  await page.locator(".count", { hasText: "350 services" }).waitFor();
}
