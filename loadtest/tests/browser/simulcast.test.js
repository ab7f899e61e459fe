// A camera is sent in several sizes at once, and each viewer is given one of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { find, sees } from "./support/media.js";
import { sentRungs } from "./support/rungs.js";
import { assertFrames, startChromium, startFirefox } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @typedef {import("./support/tabs.js").Tab} Tab */

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startFirefox>>} */
let firefox;
before(async () => void ([chromium, firefox] = await Promise.all([startChromium(), startFirefox()])));
after(() => Promise.all([chromium.close(), firefox.close()]));
after(assertFrames);

/**
 * Waits until a camera is sent in so many sizes.
 * @param {Tab} tab
 * @param {number} count
 */
const sends = (tab, count) => until(
  async () => {
    const rungs = (await sentRungs(tab)).filter(({ frames, lines }) => frames >= 5 && lines > 0);
    return rungs.length === count ? rungs : null;
  },
  { within: 30_000, what: `${count} sizes are encoded`, last: () => sentRungs(tab) },
);

/**
 * @param {import("node:test").TestContext} context
 * @param {string} room
 * @param {{[parameter: string]: string}} parameters of who publishes
 * @param {{tab(): Promise<Tab>}} browser of who publishes
 */
async function pairIn(context, room, parameters, browser) {
  const ada = await browser.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join(room, "Ada", parameters);
  await lin.join(room, "Lin", { camera: "0" });
  return { ada, lin };
}

for (const codec of ["VP8", "VP9", "H264", "AV1"]) {
  test(`Chromium sends three sizes of ${codec}, and a viewer is given one of them`, async (context) => {
    const { ada, lin } = await pairIn(context, `rungs-${codec}`, { video: "1280x720@10", codec }, chromium);
    const rungs = await sends(ada, 3);
    assert.deepEqual(rungs.map(({ rid, lines }) => [rid, lines]), [["l", 180], ["m", 360], ["h", 720]]);
    const seen = await sees(lin, "Ada");
    assert.equal(seen.codec, codec);
    assert.ok([180, 360, 720].includes(seen.height), `${seen.height} lines`);
  });
}

test("a camera too small for three sizes is sent in two, or in one", async (context) => {
  for (const [video, lines] of /** @type {[string, number[]][]} */ ([["640x360@10", [180, 360]], ["320x240@10", [240]]])) {
    const { ada, lin } = await pairIn(context, `small-${video}`, { video }, chromium);
    const rungs = await sends(ada, lines.length);
    assert.deepEqual(rungs.map((each) => each.lines), lines);
    await sees(lin, "Ada");
  }
});

test("a camera that comes after the join is sent in several sizes too", async (context) => {
  const { ada, lin } = await pairIn(context, "rungs-late", { video: "640x360@10", camera: "0" }, chromium);
  await ada.page.click('.toolbar button[aria-label^="Turn camera on"]');
  await sends(ada, 2);
  await sees(lin, "Ada");
});

test("Firefox sends several sizes, and a viewer is given one of them", async (context) => {
  const { ada, lin } = await pairIn(context, "rungs-firefox", { video: "1280x720@10" }, firefox);
  const rungs = await until(
    async () => {
      const all = (await sentRungs(ada)).filter(({ frames }) => frames >= 5);
      return all.length >= 2 ? all : null;
    },
    { within: 30_000, what: "several sizes are encoded", last: () => sentRungs(ada) },
  );
  for (const { lines } of rungs) assert.ok(lines >= 180, JSON.stringify(rungs));
  const seen = await sees(lin, "Ada");
  assert.ok(seen.height > 0);
  // Sending on after the server's own offers: Lin's microphone has come since.
  const before = await find(lin, "Ada", "CAMERA");
  assert.ok(before);
  await sees(lin, "Ada", { frames: 10 });
});
