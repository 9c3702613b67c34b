// Tokens: what may not be done has no button; signing in; making and revoking.
import { check, checkAccessible, newPage, open, picture, signIn } from "./browser.mjs";
import { call, Cluster, register } from "./cluster.mjs";

async function closed(atEnd, anonymous) {
  const cluster = new Cluster(["--anonymous", anonymous]);
  atEnd(() => cluster.stop());
  await cluster.start();
  const [one] = cluster.replicas;
  const operator = (await call(one, "POST", "/tokens/bootstrap")).body.token;
  await register(one, { name: "web", id: "web-1", host: "10.0.0.1", port: 80, ttl: 600 }, operator);
  await register(one, { name: "db", id: "db-1", host: "10.0.0.2", port: 80, ttl: 600 }, operator);
  const make = async (spec) => (await call(one, "POST", "/tokens", spec, operator)).body.token;
  return { cluster, one, operator, make };
}

export async function a_token_that_reads_has_no_buttons_that_write({ page, atEnd }) {
  const { one, make } = await closed(atEnd, "none");
  const reader = await make({ services: [{ name: "web", access: "read" }] });
  const writer = await make({ services: [{ name: "web", access: "write" }, { name: "db", access: "read" }] });
  await open(page, one);
  await page.locator(".notice", { hasText: "A token is needed" }).waitFor();
  check(await page.locator(".space .row").count() === 0, "nothing is shown without a token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("dialog input").fill("mst_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog .error", { hasText: "not valid" }).waitFor();
  await checkAccessible(page, "sign in");
  await page.locator("dialog input").fill(reader);
  await page.locator("dialog button[type=submit]").click();
  await page.locator(".services .space .row a", { hasText: "web" }).waitFor();
  check(await page.locator(".space .row").count() === 1, "what may not be read is not shown");
  check(await page.locator("nav a.tokens").count() === 0, "no tokens for who may not see them");
  await open(page, one, "#/instances/web-1");
  await page.locator(".facts").waitFor();
  check(await page.getByRole("button", { name: /maintenance|Deregister/ }).count() === 0, "no buttons");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, writer);
  await page.getByRole("button", { name: "Start maintenance" }).click();
  await page.locator("dialog input").fill("new disk");
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dd", { hasText: "new disk" }).waitFor();
  await page.getByRole("button", { name: "End maintenance" }).waitFor();
  await open(page, one, "#/instances/db-1");
  await page.locator(".facts").waitFor();
  check(await page.getByRole("button", { name: "Deregister" }).count() === 0, "of the other service it only reads");
  check(await page.evaluate(() => localStorage.length + document.cookie.length) === 0, "the token is in the session alone");
}

export async function tokens_are_made_and_revoked({ browser, page, atEnd }) {
  const { one, operator, make } = await closed(atEnd, "none");
  await make({ description: "web servers", services: [{ prefix: "web", access: "write" }], ttl: 7776000 });
  await make({ description: "dashboards", services: [{ prefix: "", access: "read" }], metrics: true, events: true });
  await open(page, one, "#/tokens");
  await signIn(page, operator);
  await page.locator("nav a.tokens").click();
  await page.locator("tbody tr").nth(2).waitFor();
  await page.locator(".state.live").waitFor();
  await picture(page, "tokens-list-light");
  await checkAccessible(page, "tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  await page.locator("dialog input").first().fill("batch jobs");
  await page.locator("dialog input").nth(1).fill("batch-*, report");
  await checkAccessible(page, "create token");
  await page.locator("dialog button[type=submit]").click();
  const secret = await page.locator(".secret code").textContent();
  await picture(page, "tokens-made-light");
  const other = await newPage(browser);
  await open(other, one);
  await signIn(other, secret.trim());
  await other.locator(".account .who").waitFor();
  await page.getByRole("button", { name: "Done" }).click();
  await page.locator("tr", { hasText: "batch jobs" }).getByRole("button").click();
  await page.getByRole("heading", { name: /^Revoke token .* \(batch jobs\)\?/ }).waitFor();
  await page.locator("dialog button.danger").click();
  await page.locator("tr", { hasText: "batch jobs" }).waitFor({ state: "detached" });
  await other.reload();
  await other.locator(".notice", { hasText: "not valid here" }).waitFor();
}

export async function a_namespace_is_chosen_and_shows_itself_alone({ page, atEnd }) {
  const cluster = new Cluster();
  atEnd(() => cluster.stop());
  await cluster.start();
  const [one] = cluster.replicas;
  await register(one, { name: "web", id: "web-1", host: "10.0.0.1", port: 80, ttl: 600 });
  await call(one, "POST", "/register?ns=shop", { name: "till", id: "web-1", host: "10.0.0.2", port: 80, ttl: 600 });
  await open(page, one);
  await page.locator(".space .row a", { hasText: "web" }).waitFor();
  await page.getByLabel("Namespace").selectOption("shop");
  await page.locator(".space .row a", { hasText: "till" }).click();
  await page.locator(".instances .space .row a").click();
  await page.locator("dd", { hasText: "10.0.0.2:80" }).waitFor();
  await page.getByRole("button", { name: "Start maintenance" }).click();
  await page.locator("dialog button[type=submit]").click();
  await page.getByRole("button", { name: "End maintenance" }).waitFor();
  const other = await call(one, "GET", "/instances/web-1");
  check(other.body.health === "passing", "the one of the same id elsewhere is as it was");
  await page.reload();
  await page.locator("dd", { hasText: "10.0.0.2:80" }).waitFor();
}
