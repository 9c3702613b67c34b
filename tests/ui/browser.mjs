// The browser, and what several tests do in it.
import { createRequire } from "node:module";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const BUILD = process.env.UI_BUILD;
const require = createRequire(join(BUILD, "/"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(join(BUILD, "node_modules/axe-core/axe.min.js"), "utf8");

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--js-flags=--expose-gc", "--enable-precise-memory-info"] });

// A page that fails the test on errors of scripts and on anything that its policy forbade.
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, bypassCSP: false, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.stack || String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (/Content Security Policy|Trusted Type|Uncaught/i.test(text)) page.problems.push(text);
  });
  page.setDefaultTimeout(20000);
  return page;
}

export function checkClean(page) {
  if (page.problems.length) throw new Error(`the browser says: ${page.problems.join("\n")}`);
}

export const open = async (page, replica, route = "") => {
  await page.goto(`${replica.url}/ui/${route}`);
  await page.waitForSelector("main > *");
};

export const picture = (page, name) => page.screenshot({ path: join(BUILD, "pictures", `${name}.png`) });

// No finding of any weight. The program is put in by the debugger, past the policy of the page.
export async function checkAccessible(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  if (violations.length) {
    throw new Error(`${name}: ${violations.map((v) => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`).join("\n")}`);
  }
}

export const rowOf = (page, name) => page.locator(".services .space .row", { has: page.locator("a", { hasText: new RegExp(`^${name}$`) }) });

// What runs before have measured stays there.
export function note(name, value) {
  const path = join(BUILD, "measured.json");
  const measured = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  measured[name] = value;
  console.log(`    ${name}: ${JSON.stringify(value)}`);
  writeFileSync(path, `${JSON.stringify(measured, null, 2)}\n`);
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export const median = (values) => values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)];

export async function signIn(page, token) {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("dialog input").fill(token);
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached" });
}
