// The server goes away and comes back; the page comes back by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hears, others, sees } from "./support/media.js";
import { startServer } from "./support/server.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const PORT = 19_080;

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => void (chromium = await startChromium()));
after(async () => {
  await chromium.close();
  await server.stop();
});
after(assertFrames);

/** @param {import("node:test").TestContext} context @param {string} room */
async function pairIn(context, room) {
  server = await startServer({ port: PORT, environment: { PLENUM_DRAIN__TIMEOUT: "1s" } });
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  for (const [tab, name] of /** @type {const} */ ([[ada, "Ada"], [lin, "Lin"]])) {
    await tab.open(address(room, name), server.url);
    await tab.state("in");
  }
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);
  return { ada, lin };
}

/** @param {import("./support/tabs.js").Tab} tab @param {string} words */
const banner = (tab, words) =>
  until(async () => (await tab.page.textContent(".banner"))?.includes(words), { within: 8_000, what: `the banner says "${words}"`, last: () => tab.page.textContent(".banner") });

test("after the server is killed and started again everybody is back", async (context) => {
  const { ada, lin } = await pairIn(context, "killed-server");
  const self = await ada.ask(() => /** @type {any} */ (window).plenum.connection.self);
  server.kill("SIGKILL");
  await banner(ada, "Reconnecting…");
  await ada.screenshot("reconnecting");
  await until(() => !server.alive, { within: 5_000, what: "the server is gone" });
  server = await startServer({ port: PORT });
  await banner(ada, "You're back");
  await Promise.all([others(ada, ["Lin"], 20_000), others(lin, ["Ada"], 20_000)]);
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada"), hears(ada, "Lin"), hears(lin, "Ada")]);
  assert.equal(await ada.ask(() => /** @type {any} */ (window).plenum.connection.self), self, "under the same identity");
  await server.stop();
});

test("a server that ends says so, and everybody is back when another has started", async (context) => {
  const { ada, lin } = await pairIn(context, "drained-server");
  server.kill("SIGTERM");
  await banner(ada, "The server is restarting");
  await ada.screenshot("restarting");
  await until(() => !server.alive, { within: 10_000, what: "the server is gone" });
  server = await startServer({ port: PORT });
  await Promise.all([others(ada, ["Lin"], 20_000), others(lin, ["Ada"], 20_000)]);
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);
});
