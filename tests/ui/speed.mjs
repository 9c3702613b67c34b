// Ten thousand services, how fast things are on the screen, and memory under churn.
import { check, median, note, newPage, open, picture } from "./browser.mjs";
import { call, Cluster, company, register, registerAll } from "./cluster.mjs";

async function withServices(atEnd, count) {
  const cluster = new Cluster(["--events-kept", "65536", "--rate-requests", "0", "--rate-writes", "0"]);
  atEnd(() => cluster.stop());
  await cluster.start();
  await registerAll(cluster.replicas[0], company(count), 256);
  return cluster;
}

// Until the first rows have been painted, in ms from the start of the navigation.
const firstRow = (page) => page.evaluate(() => new Promise((done) => {
  const look = () => document.querySelector(".services .space .row") ? requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)) : requestAnimationFrame(look);
  look();
}));

export async function the_first_view_of_a_thousand_services({ browser, atEnd }) {
  const cluster = await withServices(atEnd, 1000);
  const [cold, warm, cpu] = [[], [], []];
  for (let i = 0; i < 7; i++) {
    const page = await newPage(browser);
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const used = async () => (await session.send("Performance.getMetrics")).metrics.find((x) => x.name === "TaskDuration").value * 1000;
    for (const times of [cold, warm]) {
      await page.goto("about:blank");
      await page.goto(`${cluster.replicas[0].url}/ui/`, { waitUntil: "commit" });
      const before = await used();
      times.push(Math.round(await firstRow(page)));
      if (times === cold) cpu.push(Math.round(await used() - before));
    }
    await page.locator(".count", { hasText: "1,000 services" }).waitFor();
    await page.context().close();
  }
  note("first_view_1000_services_ms", { median: median(cold), all: cold });
  note("first_view_1000_services_cpu_of_the_page_ms", { median: median(cpu), all: cpu });
  note("first_view_1000_services_again_ms", { median: median(warm), all: warm });
}

export async function a_change_is_on_the_screen_soon_after_its_commit({ page, atEnd }) {
  const cluster = await withServices(atEnd, 1000);
  await open(page, cluster.replicas[0], "?q#/services?q=probe");
  await page.locator(".state.live").waitFor();
  await page.waitForTimeout(1500);
  const times = await page.evaluate(async () => {
    const found = [];
    for (let i = 0; i < 60; i++) {
      const name = `probe-${i}`;
      const shown = new Promise((done) => {
        const look = () => {
          const there = [...document.querySelectorAll(".space .row a, .space .row .c-name")].some((x) => x.textContent === name);
          if (there) requestAnimationFrame(() => setTimeout(() => done(Date.now()), 0));
          else setTimeout(look, 1);
        };
        look();
      });
      await fetch("/register", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, id: name, host: "10.0.0.1", port: 80, ttl: 600 }) });
      const at = await shown;
      const { events } = await (await fetch(`/events?id=${name}`)).json();
      found.push(at - Date.parse(events[0].time));
      await fetch(`/instances/${name}`, { method: "DELETE" });
      await new Promise((next) => setTimeout(next, 50));
    }
    return found;
  });
  const sorted = times.slice().sort((a, b) => a - b);
  note("commit_to_screen_ms", { median: median(times), p95: sorted[Math.floor(sorted.length * 0.95)], max: sorted[sorted.length - 1] });
}

export async function ten_thousand_services_stay_fluid({ page, atEnd }) {
  const cluster = await withServices(atEnd, 10000);
  await open(page, cluster.replicas[0]);
  await page.locator(".count", { hasText: "10,000 services" }).waitFor();
  await page.locator("[aria-rowcount='10001']").waitFor();
  check(await page.locator(".space .row").count() < 60, "only what is in sight is drawn");
  await picture(page, "ten-thousand-light");
  const frames = await page.evaluate(async () => {
    const table = document.querySelector(".table");
    const times = [];
    let last = performance.now();
    for (let i = 0; i < 240; i++) {
      table.scrollTop += i % 60 === 59 ? 60000 : 400;
      await new Promise((done) => requestAnimationFrame(done));
      times.push(performance.now() - last);
      last = performance.now();
    }
    return times.sort((a, b) => a - b);
  });
  note("scroll_10000_frame_ms", { median: Math.round(median(frames)), p99: Math.round(frames[Math.floor(frames.length * 0.99)]) });
  const typed = await page.evaluate(async () => {
    const search = document.getElementById("search");
    const times = [];
    for (const text of ["c", "ch", "che", "chec", "checkout", "checkout-api", "checkout-api-7", ""]) {
      const began = performance.now();
      search.value = text;
      search.dispatchEvent(new Event("input"));
      times.push(performance.now() - began);
      await new Promise((done) => requestAnimationFrame(done));
    }
    return times;
  });
  note("search_10000_ms", { median: Number(median(typed).toFixed(1)), max: Number(Math.max(...typed).toFixed(1)) });
  await page.locator("#search").fill("checkout-api-77");
  await page.locator(".count", { hasText: /^1 of 10,000/ }).waitFor();
  await page.locator("#search").fill("");
  await page.getByRole("button", { name: /critical/ }).click();
  await page.locator(".count", { hasText: /of 10,000/ }).waitFor();
  const shown = await page.locator(".space .row").count();
  check(await page.locator(".space .row .part.critical:not([hidden])").count() === shown, "only services with a critical instance");
}

// Changes of all kinds, about 200 a second, for as long as asked; the heap is looked at after collecting.
export async function churn_does_not_make_memory_grow({ page, atEnd }) {
  const seconds = Number(process.env.UI_CHURN_S) || 20;
  const cluster = await withServices(atEnd, 500);
  const [one, two] = cluster.replicas;
  await open(page, one, "#/events");
  await page.locator(".state.live").waitFor();
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    const { nodes } = await session.send("Memory.getDOMCounters");
    return { mib: Number((usedSize / 1048576).toFixed(1)), nodes };
  };
  let done = 0;
  const began = Date.now();
  const end = began + seconds * 1000;
  const worker = async (k) => {
    for (let i = 0; Date.now() < end; i++) {
      const due = began + done * 5; // 200 a second, of all together
      if (due > Date.now()) await new Promise((next) => setTimeout(next, due - Date.now()));
      const name = `churn-${(i * 16 + k) % 400}`;
      await register(two, { name, id: `${name}-${k}`, host: "10.0.0.1", port: 80, ttl: 600, metadata: { round: String(i) } });
      if (i % 5 === 4) await call(two, "DELETE", `/instances/${encodeURIComponent(`${name}-${k}`)}`);
      done += i % 5 === 4 ? 2 : 1;
    }
  };
  const work = Promise.all(Array.from({ length: 16 }, (_, k) => worker(k)));
  const samples = [];
  const routes = ["#/events", "#/services", "#/cluster", "#/services/churn-1"];
  for (let i = 0; Date.now() < end; i++) {
    await page.evaluate((route) => { location.hash = route; }, routes[i % routes.length]);
    await page.waitForTimeout(Math.min(5000, seconds * 1000 / 8));
    if (i % routes.length === routes.length - 1) samples.push(await heap());
  }
  await work;
  note("churn", { seconds, changes_per_second: Math.round(done / seconds), heap: samples.map((x) => x.mib), nodes: samples.map((x) => x.nodes) });
  const half = samples.slice(Math.floor(samples.length / 2));
  if (seconds >= 120) {
    const early = Math.max(...samples.slice(Math.floor(samples.length / 4), Math.floor(samples.length / 2)).map((x) => x.mib));
    check(Math.max(...half.map((x) => x.mib)) < early * 1.15 + 2, `the heap grows: ${samples.map((x) => x.mib)}`);
  }
  check(await page.locator(".state.live").count() === 1, "the page is still live");
}
