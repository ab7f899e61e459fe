// The example page of the W3C specification in a room with our page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { hears, sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const file = (/** @type {string} */ name) => readFileSync(new URL(`pages/${name}`, import.meta.url), "utf8");

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/**
 * Opens the example under the server's own origin, but with our file.
 * @param {string} room
 * @param {string} name
 */
async function openExample(room, name) {
  const tab = await chromium.tab();
  await tab.page.route("**/perfect.html*", (/** @type {any} */ route) => route.fulfill({ contentType: "text/html", body: file("perfect.html") }));
  await tab.page.route("**/perfect.js", (/** @type {any} */ route) => route.fulfill({ contentType: "text/javascript", body: file("perfect.js") }));
  await tab.open(`/perfect.html?room=${room}&name=${name}`);
  await tab.ask(() => /** @type {any} */ (window).example.joined);
  return tab;
}

/** @param {import("./support/tabs.js").Tab} tab */
const seenByExample = (tab) => tab.ask(async () => {
  let frames = 0;
  let energy = 0;
  const { pc, failures } = /** @type {any} */ (window).example;
  (await pc.getStats()).forEach((/** @type {any} */ row) => {
    if (row.type !== "inbound-rtp") return;
    frames += row.framesDecoded ?? 0;
    energy += row.totalAudioEnergy ?? 0;
  });
  const { videoWidth } = /** @type {HTMLVideoElement} */ (document.getElementById("remoteView"));
  return { frames, energy, videoWidth, failures, signaling: pc.signalingState };
});

/** @param {import("./support/tabs.js").Tab} example @param {import("./support/tabs.js").Tab} ada */
async function bothWays(example, ada) {
  await Promise.all([sees(ada, "Example", { source: "CAMERA" }), hears(ada, "Example")]);
  const seen = await until(async () => {
    const now = await seenByExample(example);
    return now.frames > 5 && now.energy > 0 && now.videoWidth > 0 ? now : null;
  }, { within: 15_000, what: "the example sees and hears our page", last: () => seenByExample(example) });
  assert.deepEqual(seen.failures, []);
}

test("the specification's example page talks to our page when it starts after joining", async (context) => {
  const ada = await chromium.tab();
  await ada.join("perfect", "Ada");
  const example = await openExample("perfect", "Example");
  context.after(() => Promise.all([ada.close(), example.close()]));
  await example.ask(() => /** @type {any} */ (window).example.start());
  await bothWays(example, ada);
});

test("the specification's example page is there first and our page comes and goes", async (context) => {
  const example = await openExample("perfect-first", "Example");
  const ada = await chromium.tab();
  context.after(() => Promise.all([ada.close(), example.close()]));
  await example.ask(() => /** @type {any} */ (window).example.start());
  await ada.join("perfect-first", "Ada");
  await bothWays(example, ada);
});

test("offers that meet end agreed: both start at the same moment", async (context) => {
  const example = await openExample("perfect-glare", "Example");
  const ada = await chromium.tab();
  context.after(() => Promise.all([ada.close(), example.close()]));
  await Promise.all([ada.join("perfect-glare", "Ada"), example.ask(() => /** @type {any} */ (window).example.start())]);
  await bothWays(example, ada);
  await until(async () => (await seenByExample(example)).signaling === "stable", { within: 5_000, what: "the example's state is stable" });
});
