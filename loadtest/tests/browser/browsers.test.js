// Chromium and Firefox in one room.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hears, others, received, sees, watch } from "./support/media.js";
import { assertFrames, startChromium, startFirefox } from "./support/tabs.js";
import { until } from "./support/until.js";

const WATCHED_MS = 10_000;
const LARGE_BYTES = 256 * 1_024;

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

test("data channels pass between Firefox and Chromium, 256 KiB in one send", async (context) => {
  const ada = await chromium.tab();
  const fox = await firefox.tab();
  context.after(() => Promise.all([ada.close(), fox.close()]));
  await ada.join("both-channels", "Ada");
  await fox.join("both-channels", "Fox");
  await Promise.all([sees(ada, "Fox"), sees(fox, "Ada")]);
  for (const tab of [ada, fox]) {
    await tab.ask(() => {
      const scope = /** @type {any} */ (window);
      scope.got = [];
      scope.plenum.connection.on("channel", (/** @type {any} */ { payload }) => {
        scope.got.push(typeof payload === "string" ? payload : new Uint8Array(payload).reduce((sum, each, index) => (sum + each * (index + 1)) % 1_000_003, 0));
      });
    });
  }
  for (const [from, to] of /** @type {const} */ ([[ada, fox], [fox, ada]])) {
    const sum = await from.ask(async (bytes) => {
      const channel = /** @type {any} */ (window).plenum.connection.openChannel("both");
      if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
      const payload = Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 8)) % 256);
      channel.send("text");
      channel.send(payload);
      return payload.reduce((sum, each, index) => (sum + each * (index + 1)) % 1_000_003, 0);
    }, LARGE_BYTES);
    const look = () => to.ask(() => /** @type {any} */ (window).got);
    await until(async () => (await look()).length === 2, { within: 10_000, what: "both messages arrive", last: look });
    assert.deepEqual(await look(), ["text", sum]);
  }
});
