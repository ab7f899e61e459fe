// The example page of the W3C specification in a room with our page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { hears, sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

// The example stands on a server of its own: another origin of this machine, as an application's
// page would be.
const site = createServer((request, response) => {
  const name = new URL(request.url ?? "/", "http://localhost").pathname === "/perfect.js" ? "perfect.js" : "perfect.html";
  response.setHeader("content-type", name.endsWith(".js") ? "text/javascript" : "text/html");
  response.end(readFileSync(new URL(`pages/${name}`, import.meta.url)));
});

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => {
  await new Promise((resolve) => site.listen(0, "127.0.0.1", () => resolve(undefined)));
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

/**
 * Opens the example and waits until it has been welcomed.
 * @param {string} room
 * @param {string} name
 */
async function openExample(room, name) {
  const tab = await chromium.tab();
  const { port } = /** @type {import("node:net").AddressInfo} */ (site.address());
  const server = new URL(process.env.PLENUM_URL ?? "").host;
  await tab.page.goto(`http://127.0.0.1:${port}/?server=${server}&room=${room}&name=${name}`);
  await until(() => tab.ask(() => /** @type {any} */ (window).example.welcomed), { within: 5_000, what: "the example is welcomed" });
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

test("a track that is added while the server's offer is being answered is published", async (context) => {
  const example = await openExample("perfect-between", "Example");
  const ada = await chromium.tab();
  context.after(() => Promise.all([ada.close(), example.close()]));
  // Its answer names the track and may not send it, and the page is not asked to negotiate again:
  // webrtc-pc #2919.
  await example.ask(async () => {
    const { pc, attach } = /** @type {any} */ (window).example;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
    const { setRemoteDescription } = pc;
    pc.setRemoteDescription = async (/** @type {RTCSessionDescriptionInit} */ description) => {
      await setRemoteDescription.call(pc, description);
      if (description.type === "offer" && pc.getSenders().every((/** @type {RTCRtpSender} */ { track }) => !track)) attach(stream);
    };
  });
  await ada.join("perfect-between", "Ada");
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

test("a channel of our page reaches the example, which has no data section of its own", async (context) => {
  const example = await openExample("perfect-channel", "Example");
  const ada = await chromium.tab();
  context.after(() => Promise.all([ada.close(), example.close()]));
  await example.ask(() => /** @type {any} */ (window).example.start());
  await ada.join("perfect-channel", "Ada");
  await bothWays(example, ada);
  await ada.ask(async () => {
    const channel = /** @type {any} */ (window).plenum.connection.openChannel("greeting");
    if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
    channel.send("hello");
  });
  const look = () => example.ask(() => /** @type {any} */ (window).example.messages);
  await until(async () => (await look()).length > 0, { within: 5_000, what: "the first message arrives", last: look });
  assert.deepEqual(await look(), [{ topic: "greeting", data: "hello" }]);
});
