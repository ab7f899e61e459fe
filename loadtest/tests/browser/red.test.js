// Sound twice: Chromium sends RED where it is named first, which our library does where packets get
// lost on the way up, and is given it where they get lost on the way down.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startLink } from "./support/link.js";
import { hears } from "./support/media.js";
import { HOST, startServer } from "./support/server.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @typedef {import("./support/tabs.js").Tab} Tab */

const PORT = 26_280;
const LINK = { http: 26_380, udp: 26_383, toHttp: PORT, toUdp: PORT + 3 };
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** Payload types, as Chromium numbers them. */
const RED = 63;
const OPUS = 111;

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startLink>>} */
let link;
before(async () => {
  if (skip) return;
  server = await startServer({ port: PORT, advertise: `${HOST}:${LINK.udp}`, environment: { PLENUM_ADVERTISE__PRIVATE: "false" } });
  link = await startLink(LINK);
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  link.close();
  await server.stop();
  assertFrames();
});

/** Runs in the page before its own scripts: RED is named before Opus. */
function preferRed() {
  const { setLocalDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setLocalDescription = function (description) {
    const codecs = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
    const isRed = (/** @type {{mimeType: string}} */ { mimeType }) => mimeType === "audio/red";
    const ordered = [...codecs.filter(isRed), ...codecs.filter((codec) => !isRed(codec))];
    for (const each of this.getTransceivers()) {
      if (each.sender.track?.kind === "audio" && this.signalingState === "stable") each.setCodecPreferences(ordered);
    }
    return setLocalDescription.call(this, description);
  };
}

/** What was played to a tab, and what of it was made up for lack of packets. @param {Tab} tab */
const played = (tab) => tab.ask(async () => {
  const report = await /** @type {any} */ (window).plenum.pc.getStats();
  const sum = { all: 0, concealed: 0 };
  report.forEach((/** @type {any} */ row) => {
    if (row.kind !== "audio" || row.type !== "inbound-rtp") return;
    sum.all += row.totalSamplesReceived ?? 0;
    sum.concealed += (row.concealedSamples ?? 0) - (row.silentConcealedSamples ?? 0);
  });
  return sum;
});

test("Chromium sends RED, it is heard, and who loses packets is given copies", { skip, timeout: 180_000 }, async (context) => {
  const [ada, lin] = await Promise.all([chromium.tab(), chromium.tab()]);
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.page.addInitScript(preferRed);
  await ada.open(address("red", "Ada", { camera: "0" }), server.url);
  await ada.state("in");
  await lin.open(address("red", "Lin", { camera: "0", audio: "0" }), server.url);
  await lin.state("in");
  await hears(lin, "Ada", 30_000);
  // getStats() names what is inside RED, so what is on the wire is asked.
  const sent = () => [link.packets("server", RED), link.packets("browser", RED), link.packets("browser", OPUS)];
  const isPlain = () => link.packets("server", RED) >= 100 && link.packets("browser", OPUS) >= 100;
  await until(isPlain, { within: 20_000, what: "Ada sends RED, and to Lin it is Opus", last: sent });
  assert.equal(link.packets("browser", RED), 0, "who loses nothing is given no copies");

  // From now on one in ten packets on the way to a browser is lost.
  link.lose(10);
  await until(() => link.packets("browser", RED) >= 200, {
    within: 60_000, what: "copies come with the sound", every: 200, last: sent,
  });
  const before = await played(lin);
  const after = await until(
    async () => {
      const now = await played(lin);
      return now.all - before.all >= 15 * 48_000 ? now : null;
    },
    { within: 60_000, what: "fifteen seconds were played", every: 500, last: () => played(lin) },
  );
  const concealed = (after.concealed - before.concealed) / (after.all - before.all);
  context.diagnostic(`${(concealed * 100).toFixed(2)} % of the sound concealed where 10 % of packets are lost`);
  assert.ok(concealed < 0.05, `${concealed} of the sound was made up: the copies were not played`);
  await hears(lin, "Ada", 30_000);
});

test("whose packets get lost on the way up sends copies, without having been told to", { skip, timeout: 180_000 }, async (context) => {
  const [ada, lin] = await Promise.all([chromium.tab(), chromium.tab()]);
  link.lose(0);
  context.after(() => Promise.all([ada.close(), lin.close()]));
  context.after(() => link.lose(0, "server"));
  await ada.open(address("red-up", "Ada", { camera: "0" }), server.url);
  await ada.state("in");
  await lin.open(address("red-up", "Lin", { camera: "0", audio: "0" }), server.url);
  await lin.state("in");
  await hears(lin, "Ada", 30_000);
  const sent = () => ({ red: link.packets("server", RED), opus: link.packets("server", OPUS) });
  const before = sent();
  await until(() => sent().opus >= before.opus + 250, { within: 20_000, what: "five seconds of her voice", last: sent });
  assert.equal(sent().red, before.red, "whose packets arrive sends each once");

  link.lose(10, "server");
  const lossy = performance.now();
  await until(() => sent().red >= before.red + 50, { within: 30_000, what: "she sends copies", every: 100, last: sent });
  context.diagnostic(`copies ${Math.round(performance.now() - lossy)} ms after the loss began`);
  // What got lost on the way up is in the next packet, so Lin misses next to nothing.
  const from = await played(lin);
  const to = await until(
    async () => {
      const now = await played(lin);
      return now.all - from.all >= 15 * 48_000 ? now : null;
    },
    { within: 60_000, what: "fifteen seconds were played", every: 500, last: () => played(lin) },
  );
  const concealed = (to.concealed - from.concealed) / (to.all - from.all);
  context.diagnostic(`${(concealed * 100).toFixed(2)} % of the sound concealed where 10 % of packets are lost on the way up`);
  assert.ok(concealed < 0.05, `${concealed} of the sound was made up`);
  await ada.state("in");
});
