// What nobody is given is not encoded: small tiles, a pinned one, and nobody at all.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { find, sees } from "./support/media.js";
import { sentRungs } from "./support/rungs.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @typedef {import("./support/tabs.js").Tab} Tab */

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startSite>>} */
let site;
before(async () => {
  site = await startSite("whip.html");
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

/**
 * Waits until exactly these rungs are encoded: for a second the frames of no other have grown.
 * @param {Tab} tab
 * @param {string} rids
 * @param {number} within
 */
async function encodes(tab, rids, within) {
  let before = await sentRungs(tab);
  return until(
    async () => {
      const now = await sentRungs(tab);
      const grown = now.filter(({ frames }, place) => frames > (before[place]?.frames ?? 0));
      before = now;
      return grown.map(({ rid }) => rid).join("") === rids;
    },
    { within, every: 1_000, what: `"${rids}" is encoded`, last: () => sentRungs(tab) },
  );
}

test("small tiles leave the low rung, a pinned one brings the top back, and nobody leaves none", async (context) => {
  const ada = await chromium.tab();
  // So small a window that every tile is.
  const lin = await chromium.tab({ width: 400, height: 300 });
  context.after(() => ada.close());
  await ada.join("dynacast", "Ada", { video: "1280x720@10" });
  await lin.join("dynacast", "Lin", { camera: "0" });
  await sees(lin, "Ada");
  await encodes(ada, "l", 30_000);
  const small = await sees(lin, "Ada");
  assert.equal(small.height, 180);

  // The window grows, and the tile with it.
  await lin.page.setViewportSize({ width: 1_600, height: 900 });
  const asked = performance.now();
  await until(async () => (await find(lin, "Ada", "CAMERA"))?.height === 720, {
    within: 5_000,
    every: 50,
    what: "the top rung is back",
    last: () => Promise.all([sentRungs(ada), find(lin, "Ada", "CAMERA")]),
  });
  context.diagnostic(`the top rung is back ${Math.round(performance.now() - asked)} ms after the window grew`);

  await lin.close();
  await encodes(ada, "", 30_000);
  const grace = await chromium.tab();
  context.after(() => grace.close());
  await grace.join("dynacast", "Grace", { camera: "0" });
  await sees(grace, "Ada", { within: 5_000 });
});

test("who publishes by WHIP is held by REMB under what is wanted, and let go when more is", async (context) => {
  const [ada, encoder] = [await chromium.tab({ width: 1_600, height: 900 }), await chromium.tab()];
  context.after(() => Promise.all([ada.close(), encoder.close()]));
  await ada.join("dynacast-whip", "Ada", { camera: "0" });
  await encoder.open("/", site.url);
  await encoder.ask(async (url) => {
    const { whip } = /** @type {any} */ (window);
    whip.it = await whip.publish(url, { simulcast: true });
  }, `${process.env.PLENUM_URL}/whip/dynacast-whip?participant=encoder&display_name=Encoder`);
  const rungs = () => encoder.ask(() => /** @type {any} */ (window).whip.it.rungs());
  const seesTop = (/** @type {number} */ within) => until(async () => (await find(ada, "Encoder", "CAMERA"))?.width === 960, {
    within, every: 50, what: "the top rung is seen", last: () => Promise.all([rungs(), find(ada, "Encoder", "CAMERA")]),
  });
  await seesTop(40_000);

  // So small a window that every tile is: the top is not sent any more, nor, later, the middle.
  await ada.page.setViewportSize({ width: 400, height: 300 });
  let before = await rungs();
  await until(async () => {
    const now = await rungs();
    const grown = now.rungs.filter((/** @type {any} */ { bytes }, /** @type {number} */ place) => bytes > (before.rungs[place]?.bytes ?? 0));
    before = now;
    return grown.map((/** @type {any} */ { rid }) => rid).join("") === "q";
  }, { within: 30_000, every: 1_000, what: "the lowest rung alone is sent", last: rungs });
  const small = await sees(ada, "Encoder");
  assert.equal(small.width, 240);

  await ada.page.setViewportSize({ width: 1_600, height: 900 });
  const asked = performance.now();
  await seesTop(10_000);
  context.diagnostic(`the top rung is back ${Math.round(performance.now() - asked)} ms after the window grew`);
});
