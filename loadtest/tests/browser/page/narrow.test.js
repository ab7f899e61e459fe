// A viewer behind a path that grows narrow, and wide again: what the page says of the picture, of
// what the path carries, and why.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hasEmulator, startEmulator } from "../support/emulator.js";
import { find, hears, sees } from "../support/media.js";
import { HOST, startServer } from "../support/server.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @typedef {import("../support/tabs.js").Tab} Tab */

const PORT = 26_480;
const inNamespace = process.env.PLENUM_NAMESPACE === "1";
const skip = inNamespace && hasEmulator ? false : "needs the namespace of run.js and cargo build -p loadtest";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startEmulator>>} */
let emulator;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => {
  if (skip) return;
  emulator = await startEmulator();
  await emulator.tell("link path delay=20ms");
  const media = await emulator.forward("media", "path", PORT + 3);
  server = await startServer({ port: PORT, advertise: `${HOST}:${media}`, environment: { PLENUM_ADVERTISE__PRIVATE: "false" } });
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  await server.stop();
  await emulator.stop();
  assertFrames();
});

/** What stands on Ada's tile, and in the statistics of her camera. @param {Tab} tab */
const told = (tab) => tab.ask(() => {
  const tile = /** @type {HTMLElement} */ (document.querySelector('.tile:not([data-tile="/self"])'));
  /** @type {{[name: string]: string}} */
  const rows = {};
  for (const block of document.querySelectorAll(".statistics .block")) {
    const title = block.querySelector("h4")?.textContent ?? "";
    for (const name of block.querySelectorAll("dt")) {
      if (title === "Connection" || title === "Ada · Camera") rows[`${title}: ${name.textContent}`] = name.nextElementSibling?.textContent ?? "";
    }
  }
  return {
    note: tile.querySelector(".tile-note")?.textContent ?? "",
    hasVideo: tile.classList.contains("has-video"),
    estimate: rows["Connection: Estimate down"] ?? "",
    layer: rows["Ada · Camera: Layer"] ?? "",
    reason: rows["Ada · Camera: Reason"] ?? "",
    change: rows["Ada · Camera: Last change"] ?? "",
  };
});

/**
 * Waits until the page says something, and gives all it says.
 * @param {Tab} tab
 * @param {string} what
 * @param {(said: Awaited<ReturnType<typeof told>>) => boolean} is
 */
const says = (tab, what, is) => until(
  async () => {
    const said = await told(tab);
    return is(said) ? said : null;
  },
  { within: 60_000, what, every: 200, last: () => told(tab) },
);

/** The two figures of a sentence such as "needs 150 kb/s, 90 free". @param {string} sentence */
function figures(sentence) {
  const [, needed = NaN, free = NaN] = /needs (\d+) kb\/s, (\d+) free/.exec(sentence) ?? [];
  return { needed: Number(needed), free: Number(free) };
}

test("a narrow path leaves the lower size, a narrower one none, and the page says what is missing", { skip, timeout: 300_000 }, async (context) => {
  const [ada, lin] = await Promise.all([chromium.tab(), chromium.tab()]);
  context.after(() => Promise.all([ada.close(), lin.close()]));
  // Nothing comes down to Ada, so what is slow is slow for Lin.
  await ada.open(address("narrow", "Ada", { video: "640x480@15" }), server.url);
  await ada.state("in");
  await lin.open(address("narrow", "Lin", { camera: "0", audio: "0" }), server.url);
  await lin.state("in");
  await sees(lin, "Ada");
  await lin.page.keyboard.press("a");
  const full = await says(lin, "on a wide path the best comes", ({ reason, layer, estimate }) => reason === "The best there is" && /^480p · \d+$/.test(layer) && /^\d+ kb\/s, [a-z ]+$/.test(estimate));
  assert.equal(full.note, "");

  await emulator.tell("link path down rate=500k");
  const less = await says(lin, "the lower size comes, and why", ({ reason, layer }) => reason.startsWith("A better one needs") && /^240p · \d+$/.test(layer));
  context.diagnostic(`500 kb/s: ${JSON.stringify(less)}`);
  const { needed, free } = figures(less.reason);
  assert.ok(needed > free && free > 100 && free < 500 && needed < 1_500, less.reason);
  assert.ok(parseInt(less.estimate, 10) < 600, less.estimate);
  await lin.screenshot("narrow-lower");

  await emulator.tell("link path down rate=70k");
  const paused = await says(lin, "the picture is paused and it is said why", ({ note, hasVideo }) => note.startsWith("Paused: needs") && !hasVideo);
  const missing = figures(paused.note);
  assert.ok(missing.needed > missing.free && missing.free < 70 && missing.needed < 500, paused.note);
  const changed = await says(lin, "the statistics say it too", ({ change }) => /^Paused: needs \d+ kb\/s, \d+ free, \d/.test(change));
  context.diagnostic(`70 kb/s: ${JSON.stringify(changed)}`);
  assert.match(changed.note, /^Paused: needs \d+ kb\/s, \d+ free$/);
  assert.ok(parseInt(changed.estimate, 10) < 120, changed.estimate);
  await lin.screenshot("narrow-paused");
  await hears(lin, "Ada");

  await emulator.tell("link path down rate=5M");
  const back = await says(lin, "the picture is back", ({ note, hasVideo }) => note === "" && hasVideo);
  await sees(lin, "Ada", { within: 30_000 });
  const best = await says(lin, "the best is back", ({ reason, layer }) => reason === "The best there is" && /^480p/.test(layer));
  context.diagnostic(`back: ${JSON.stringify([back, best])}`);
  assert.equal((await find(lin, "Ada", "CAMERA"))?.paused, "");
  await lin.screenshot("narrow-back");
});
