// The statistics panel of a real meeting: figures, plots, the last change, the copy, and that it
// costs nothing while it is closed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { find, sees } from "../support/media.js";
import { assertFrames, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/** @typedef {{title: string, rows: {[name: string]: string}, points: number, range: string}} Block */

/** What stands in the panel. @param {import("../support/tabs.js").Tab} tab @returns {Promise<Block[]>} */
const blocks = (tab) => tab.ask(() => [...document.querySelectorAll(".statistics .block")].map((block) => ({
  title: block.querySelector("h4")?.textContent ?? "",
  rows: Object.fromEntries([...block.querySelectorAll("dt")].map((name) => [name.textContent ?? "", name.nextElementSibling?.textContent ?? ""])),
  points: [...block.querySelectorAll("polyline")].flatMap((line) => (line.getAttribute("points") ?? "").split(" ")).length,
  range: block.querySelector(".plot-range")?.textContent ?? "",
})));

/** @param {import("../support/tabs.js").Tab} tab @param {string} title */
const block = async (tab, title) => (await blocks(tab)).find((each) => each.title === title);

/** @param {import("node:test").TestContext} context @param {string} room */
async function openIn(context, room) {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join(room, "Ada");
  await lin.join(room, "Lin");
  await sees(ada, "Lin");
  await ada.page.keyboard.press("a");
  return { ada, lin };
}

test("the panel states path, ciphers and each track, and plots the last minute", async (context) => {
  const { ada } = await openIn(context, "statistics");
  const seen = await until(
    async () => {
      const camera = await block(ada, "Lin · Camera");
      return camera && camera.points >= 4 ? camera : null;
    },
    { within: 20_000, what: "Lin's camera has a plot of four readings", every: 300, last: () => blocks(ada) },
  );
  assert.match(seen.range, /^max [\d.]+ kb\/s\nmin [\d.]+ kb\/s$/);
  assert.match(seen.rows.Size ?? "", /^320×240 @ \d+$/);
  for (const name of ["Codec", "Rate", "Loss", "Jitter", "Freezes"]) assert.ok(seen.rows[name], `${name} of ${JSON.stringify(seen)}`);

  const [head] = await blocks(ada);
  assert.equal(head?.title, "Connection");
  assert.match(head?.rows.Path ?? "", /^\w+ → host, UDP$/);
  assert.match(head?.rows.DTLS ?? "", /^1\.[23]$/);
  assert.match(head?.rows.Encryption ?? "", /AES_(128|256)_GCM/);
  assert.match(head?.rows.SRTP ?? "", /^AEAD_AES/);
  assert.match(head?.rows["Round trip"] ?? "", /^\d+\.\d ms$/);
  assert.match(head?.rows.Estimate ?? "", /^\d+ kb\/s$/);
  assert.match(head?.range ?? "", / ms$/);
  assert.match(head?.rows["Estimate down"] ?? "", /^\d+ kb\/s, [a-z ]+$/);
  assert.match(seen.rows.Layer ?? "", /^240p · \d+$/);
  await until(async () => (await block(ada, "Lin · Camera"))?.rows.Reason === "The best there is", {
    within: 10_000,
    what: "the reason of the layer is stated",
    last: () => blocks(ada),
  });
  // The receiver's first report takes up to a second.
  await until(async () => (await block(ada, "You · Camera · 240p"))?.rows["Round trip"], {
    within: 5_000,
    what: "what is sent has a round trip of its own",
    last: () => blocks(ada),
  });
  assert.deepEqual((await blocks(ada)).map(({ title }) => title).filter((title) => title.startsWith("You · Camera")), ["You · Camera · 240p"]);

  const box = await ada.page.locator(".statistics .plot svg").first().boundingBox();
  assert.deepEqual([box?.width, Math.round(box?.height ?? 0)], [160, 32]);
  await ada.screenshot("statistics");
});

test("why a track changed stands there with the time", async (context) => {
  const { ada } = await openIn(context, "statistics-change");
  const track = (await find(ada, "Lin", "CAMERA"))?.track;
  // The panel makes the tiles smaller, and the page says so to the server once they rest (300 ms):
  // a pause from here that came before would be undone by it. Readings come once a second.
  await until(async () => ((await block(ada, "Lin · Camera"))?.points ?? 0) >= 3, { within: 20_000, what: "Lin's camera has three readings", last: () => blocks(ada) });
  const before = (await block(ada, "Lin · Camera"))?.rows["Last change"] ?? "";
  assert.doesNotMatch(before, /^Paused/);
  await ada.ask((paused) => /** @type {any} */ (window).plenum.connection.subscribe({ tracks: [{ track: paused, paused: true }] }), track);
  await until(async () => /^Paused while out of sight, \d/.test((await block(ada, "Lin · Camera"))?.rows["Last change"] ?? ""), {
    within: 10_000,
    what: "the pause is stated",
    last: () => blocks(ada),
  });
});

test("what is copied is JSON with every track, its owner and its last minute", async (context) => {
  const { ada } = await openIn(context, "statistics-copy");
  await ada.ask(() => {
    navigator.clipboard.writeText = (text) => Promise.resolve(void Object.assign(window, { copied: text }));
  });
  await until(async () => ((await block(ada, "Lin · Camera"))?.points ?? 0) >= 3, { within: 20_000, what: "there is something to copy", last: () => blocks(ada) });
  await ada.page.click("text=Copy as JSON");
  const copied = JSON.parse(await ada.ask(() => /** @type {any} */ (window).copied));
  const camera = copied.tracks.find((/** @type {any} */ each) => each.name === "Lin · Camera");
  assert.ok(camera.minute.length >= 2 && camera.minute.every((/** @type {any} */ each) => each.value >= 0));
  assert.equal(camera.way, "in");
  assert.ok(Math.abs(Date.now() - Date.parse(copied.time)) < 60_000);
  assert.match(copied.transport.srtp, /AEAD_AES/);
  await until(async () => (await ada.page.textContent(".panel:not([hidden]) footer")) === "Copied", { within: 1_500, what: "the button says so" });
});

test("a closed panel draws nothing and takes up its plots where it is opened again", async (context) => {
  const { ada } = await openIn(context, "statistics-closed");
  const points = async () => (await block(ada, "Lin · Camera"))?.points ?? 0;
  await until(async () => (await points()) >= 2, { within: 20_000, what: "two readings are drawn", last: () => blocks(ada) });
  await ada.page.keyboard.press("a");
  await until(() => ada.ask(() => document.querySelector(".statistics")?.closest(".panel")?.hasAttribute("hidden")), { within: 2_000, what: "it is closed" });
  const drawn = await ada.ask(() => {
    const counted = Object.assign(window, { changes: 0 });
    const panel = /** @type {Element} */ (document.querySelector(".statistics"));
    new MutationObserver((changes) => (counted.changes += changes.length)).observe(panel, { subtree: true, childList: true, characterData: true, attributes: true });
    return panel.querySelectorAll("polyline").length;
  });
  assert.ok(drawn > 0);
  // Three times what lies between two readings.
  await ada.ask(() => new Promise((resolve) => setTimeout(resolve, 3_200)));
  assert.equal(await ada.ask(() => /** @type {any} */ (window).changes), 0);
  await ada.page.keyboard.press("a");
  await until(async () => ada.ask(() => /** @type {any} */ (window).changes > 0), { within: 5_000, what: "it draws again" });
});
