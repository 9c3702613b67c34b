// Runs all tests, one after the other: each file exports them by name.
import { launch, checkClean, newPage } from "./browser.mjs";
import * as access from "./access.mjs";
import * as failover from "./failover.mjs";
import * as speed from "./speed.mjs";
import * as views from "./views.mjs";

const LIMIT_MS = 180000 + 1000 * Number(process.env.UI_CHURN_S || 0);
const only = process.env.UI_ONLY;
let failed = 0;

for (const [name, test] of Object.entries({ ...views, ...access, ...failover, ...speed })) {
  if (only && !name.includes(only)) continue;
  const browser = await launch();
  const page = await newPage(browser);
  const began = Date.now();
  const cleanups = [];
  let timer;
  try {
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("takes too long")), LIMIT_MS); });
    await Promise.race([test({ browser, page, atEnd: (work) => cleanups.push(work) }), late]);
    checkClean(page);
    console.log(`ok      ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${error.stack}`);
    await page.screenshot({ path: `${process.env.UI_BUILD}/pictures/failed-${name}.png` }).catch(() => {});
  }
  clearTimeout(timer);
  await browser.close();
  for (const work of cleanups) await work();
}
process.exit(failed ? 1 : 0);
