// Chromium and Firefox in one room.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hears, others, received, sees, watch } from "./support/media.js";
import { assertFrames, startChromium, startFirefox } from "./support/tabs.js";

const WATCHED_MS = 10_000;

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startFirefox>>} */
let firefox;
before(async () => {
  [chromium, firefox] = await Promise.all([startChromium(), startFirefox()]);
});
after(() => Promise.all([chromium.close(), firefox.close()]));
after(assertFrames);

test("three Chromium tabs and one Firefox tab decode all others for ten seconds without a frozen tile", async (context) => {
  const names = ["Ada", "Lin", "Grace", "Fox"];
  const tabs = [await chromium.tab(), await chromium.tab(), await chromium.tab(), await firefox.tab()];
  context.after(() => Promise.all(tabs.map((tab) => tab.close())));
  for (const [index, tab] of tabs.entries()) await tab.join("four", names[index] ?? "", { codec: "VP8" });
  const watched = tabs.map((tab, index) => ({ tab, sees: names.filter((_, other) => other !== index) }));
  for (const { tab, sees: theirs } of watched) {
    await others(tab, theirs);
    for (const name of theirs) await sees(tab, name, { frames: 1 });
  }
  const tiles = await watch(watched, WATCHED_MS);
  context.diagnostic(tiles.map(({ tile, frames }) => `${tile} ${frames}`).join(", "));
  assert.equal(tiles.length, 12);
  assert.deepEqual(tiles.filter(({ frozen }) => frozen > 0), []);
  for (const tab of tabs) {
    for (const { codec, kind } of await received(tab)) {
      if (kind === "video") assert.equal(codec, "VP8");
    }
  }
  for (const { tab, sees: theirs } of watched) {
    for (const name of theirs) await hears(tab, name);
  }
  await tabs[0]?.screenshot("four-browsers");
});

for (const codec of ["VP9", "AV1"]) {
  test(`${codec} passes between Firefox and Chromium both ways`, async (context) => {
    const ada = await chromium.tab();
    const fox = await firefox.tab();
    context.after(() => Promise.all([ada.close(), fox.close()]));
    await ada.join(`both-${codec}`, "Ada", { codec });
    await fox.join(`both-${codec}`, "Fox", { codec });
    const [atAda, atFox] = await Promise.all([sees(ada, "Fox"), sees(fox, "Ada")]);
    assert.deepEqual([atAda.codec, atFox.codec], [codec, codec]);
  });
}
