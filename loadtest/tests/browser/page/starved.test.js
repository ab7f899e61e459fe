// A picture that the path does not carry: initials and the figures in its place, and back.

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

test("a paused picture gives way to initials and says what it needs, and comes back", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join("starved", "Ada");
  await lin.join("starved", "Lin");
  await sees(ada, "Lin");
  const track = (await find(ada, "Lin", "CAMERA"))?.track ?? "";
  assert.notEqual(track, "");
  const tile = () => ada.ask(() => {
    const element = /** @type {HTMLElement} */ (document.querySelector('.tile:not([data-tile="/self"])'));
    return { note: element.querySelector(".tile-note")?.textContent ?? "", hasVideo: element.classList.contains("has-video") };
  });
  // What the server says of a path too narrow, said by its own messages' way through the page; and
  // looked at at once, for the server goes on saying how it is. `narrow.test.js` has the real thing.
  const starved = await ada.ask(({ track }) => {
    const { connection } = /** @type {any} */ (window).plenum;
    const told = (/** @type {any} */ message) => connection.stay.emit("message", message);
    told({ type: "layers", subscriptions: [{ track, reason: "PAUSED", needed_bitrate_bps: 150_000, available_bitrate_bps: 90_000 }] });
    told({ type: "tracks", subscriptions: [{ track, paused: "BANDWIDTH" }] });
    const element = /** @type {HTMLElement} */ (document.querySelector('.tile:not([data-tile="/self"])'));
    return {
      note: element.querySelector(".tile-note")?.textContent ?? "",
      hasVideo: element.classList.contains("has-video"),
      initials: getComputedStyle(/** @type {HTMLElement} */ (element.querySelector(".initials"))).visibility,
    };
  }, { track });
  assert.deepEqual(starved, { note: "Paused: needs 150 kb/s, 90 free", hasVideo: false, initials: "visible" });
  await ada.ask(({ track }) => {
    const { connection } = /** @type {any} */ (window).plenum;
    connection.stay.emit("message", { type: "tracks", subscriptions: [{ track }] });
  }, { track });
  await until(async () => (await tile()).hasVideo, { within: 2_000, what: "the picture is back", last: tile });
  assert.equal((await tile()).note, "");
  await sees(ada, "Lin");
});
