// The network goes away for 5, 20 and 90 seconds and comes back: every sentence at its time,
// everybody back without a reload, and nothing of theirs lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertState } from "../support/axe.js";
import { call } from "../support/grpc.js";
import { startLink } from "../support/link.js";
import { find, hears, others, sees } from "../support/media.js";
import { key, press, says } from "../support/sentences.js";
import { HOST, startServer } from "../support/server.js";
import { address, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

const PORT = 20_080;
const LINK = { http: 21_080, udp: 21_083, toHttp: PORT, toUdp: PORT + 3 };
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startLink>>} */
let link;
before(async () => {
  if (skip) return;
  server = await startServer({ port: PORT, advertise: `${HOST}:${LINK.udp}` });
  link = await startLink(LINK);
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  link.close();
  await server.stop();
});

/** Ada and Lin by the link; Ada is muted and has begun to write.
 * @param {import("node:test").TestContext} context @param {string} room */
async function pairIn(context, room) {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  for (const [tab, name] of /** @type {const} */ ([[ada, "Ada"], [lin, "Lin"]])) {
    await tab.open(address(room, name), link.url);
    await tab.state("in");
  }
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada"), hears(ada, "Lin")]);
  await press(ada, "Mute");
  await key(ada, "c");
  await ada.page.fill(".chat textarea", "a draft");
  return { ada, lin };
}

/** @param {import("../support/tabs.js").Tab} ada @param {import("../support/tabs.js").Tab} lin */
async function assertAllBack(ada, lin) {
  await Promise.all([ada.state("in", 10_000), lin.state("in", 10_000)]);
  await Promise.all([sees(ada, "Lin", { within: 10_000 }), sees(lin, "Ada", { within: 10_000 }), hears(ada, "Lin", 10_000)]);
  await others(ada, ["Lin"]);
  await others(lin, ["Ada"]);
  assert.equal((await find(lin, "Ada", "MICROPHONE"))?.muted, true, "who was muted is");
  assert.equal(await ada.page.inputValue(".chat textarea"), "a draft");
}

/** @param {number} ms */
const passes = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("five seconds: a banner, then all is as before", { skip }, async (context) => {
  const { ada, lin } = await pairIn(context, "cut-5");
  link.cut();
  await passes(5_000);
  link.mend();
  const mended = performance.now();
  await assertAllBack(ada, lin);
  context.diagnostic(`back ${Math.round(performance.now() - mended)} ms after the network`);
});

test("twenty seconds: the page says to check the network, and comes back", { skip }, async (context) => {
  const { ada, lin } = await pairIn(context, "cut-20");
  link.cut();
  await says(ada, ".banner", "Reconnecting…", 20_000);
  await assertState(ada, "reconnecting");
  await passes(20_000);
  link.mend();
  const mended = performance.now();
  await assertAllBack(ada, lin);
  context.diagnostic(`back ${Math.round(performance.now() - mended)} ms after the network`);
});

test("ninety seconds: a card with Rejoin, and the page still comes back by itself", { skip, timeout: 240_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "cut-90");
  const cut = performance.now();
  link.cut();
  await says(ada, ".banner", "Still trying. Check your network.", 40_000);
  await says(ada, ".banner.lost", "You lost the connection", 90_000);
  assert.equal(await ada.page.locator(".banner.lost >> text=Rejoin").count(), 1);
  await assertState(ada, "lost");
  await passes(Math.max(0, 90_000 - (performance.now() - cut)));
  link.mend();
  const mended = performance.now();
  await says(ada, ".banner", "You're back", 15_000);
  await assertAllBack(ada, lin);
  context.diagnostic(`back ${Math.round(performance.now() - mended)} ms after the network`);
  await until(() => ada.page.locator(".banner:visible").count().then((count) => count === 0), { within: 5_000, what: "the banner goes" });
});

test("a message that did not go out is said to be unsent, and Retry sends it", { skip, timeout: 120_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "unsent");
  server.kill("SIGKILL");
  await until(() => !server.alive, { within: 5_000, what: "the server is gone" });
  await ada.page.fill(".chat textarea", "are you there?");
  await ada.page.press(".chat textarea", "Enter");
  await says(ada, ".messages .unsent", "Not sent.", 30_000);
  await assertState(ada, "unsent");
  server = await startServer({ port: PORT, advertise: `${HOST}:${LINK.udp}` });
  // One after the other: until Ada is back in, her roster is the one from before, with Lin in it.
  await Promise.all([ada.state("in", 20_000), lin.state("in", 20_000)]);
  await others(ada, ["Lin"], 20_000);
  await ada.page.click(".messages .unsent button");
  await says(lin, ".toast", "Ada: are you there?");
  await until(() => ada.page.locator(".messages .unsent").count().then((count) => count === 0), { within: 3_000, what: "it is sent" });
});

test("a message that was refused is said to be unsent, and Retry sends it", { skip, timeout: 120_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "refused");
  const id = await ada.ask(() => /** @type {any} */ (window).plenum.connection.self);
  const name = `rooms/refused/participants/${id}`;
  /** Permissions as a whole: publish a camera, subscribe, and send data or not. @param {boolean} mayWrite */
  const permit = (mayWrite) =>
    call("ParticipantService/UpdateParticipant", { 1: { 1: name, 10: mayWrite ? { 1: 1, 2: 1, 3: 1 } : { 1: 1, 2: 1 } }, 2: { 1: "permissions" } }, server.grpc);
  await permit(false);
  await ada.page.fill(".chat textarea", "may I?");
  await ada.page.press(".chat textarea", "Enter");
  await says(ada, ".messages .unsent", "Not sent.");
  await permit(true);
  await ada.page.click(".messages .unsent button");
  await says(lin, ".toast", "Ada: may I?");
  await until(() => ada.page.locator(".messages .unsent").count().then((count) => count === 0), { within: 3_000, what: "it is sent" });
});
