// More voices than slots, in real browsers: the loudest are heard, each through one of few m-lines
// that never change, and the right names are lit.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "./support/server.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @typedef {import("./support/tabs.js").Tab} Tab */

const PORT = 26_580;
const SLOTS = 2;
/** Who speaks, and the tone of their voice. @type {{[name: string]: number}} */
const VOICES = { Ada: 400, Bo: 700, Cy: 1_000, Di: 1_300, Eve: 1_600 };

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => {
  server = await startServer({ port: PORT, environment: { PLENUM_ROOM__AUDIO_SLOTS: String(SLOTS), PLENUM_ROOM__AUDIO_SLOTS_ABOVE: "3" } });
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  await server.stop();
  assertFrames();
});

/** Runs in the page before its own scripts: the microphone is a tone that can be made loud. @param {number} frequency */
function toned(frequency) {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const voice = new OscillatorNode(context, { frequency });
    const gain = new GainNode(context, { gain: 0 });
    const microphone = context.createMediaStreamDestination();
    voice.connect(gain).connect(microphone);
    voice.start();
    Object.assign(window, { speak: (/** @type {boolean} */ isLoud) => void (gain.gain.value = isLoud ? 0.4 : 0) });
    return microphone.stream;
  };
}

/** Runs in the page before its own scripts: descriptions are counted. */
function counted() {
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  Object.assign(window, { descriptions: 0 });
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    /** @type {any} */ (window).descriptions += 1;
    return setRemoteDescription.call(this, description);
  };
}

/** What a listener is sent, plays and is shown. @param {Tab} tab */
const heard = (tab) => tab.ask(async () => {
  const any = /** @type {any} */ (window);
  const { connection, pc, participants } = any.plenum;
  any.ears ??= { context: new AudioContext(), by: new Map() };
  /** The tone that is strongest in a track now; 0: none. @param {string} key @param {MediaStreamTrack} track */
  const toneOf = (key, track) => {
    let ear = any.ears.by.get(key);
    if (ear?.track !== track) {
      const analyser = new AnalyserNode(any.ears.context, { fftSize: 8_192, smoothingTimeConstant: 0 });
      any.ears.context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      ear = { track, analyser };
      any.ears.by.set(key, ear);
    }
    const spectrum = new Float32Array(ear.analyser.frequencyBinCount);
    ear.analyser.getFloatFrequencyData(spectrum);
    let best = 0;
    for (const [bin, power] of spectrum.entries()) if (power > (spectrum[best] ?? -Infinity)) best = bin;
    return (spectrum[best] ?? -Infinity) < -60 ? 0 : (best * any.ears.context.sampleRate) / 8_192;
  };
  await any.ears.context.resume();
  // What the page plays, element by element: by whom it says that is, and what is in it.
  /** @type {{[name: string]: number}} */
  const played = {};
  for (const element of /** @type {NodeListOf<HTMLAudioElement>} */ (document.querySelectorAll("audio[data-track]"))) {
    const track = /** @type {MediaStream|null} */ (element.srcObject)?.getAudioTracks()[0];
    const owner = participants.find((/** @type {any} */ one) => one.tracks.some((/** @type {any} */ each) => each.track === element.dataset.track));
    if (!track || element.paused) continue;
    const tone = toneOf(element.dataset.track ?? "", track);
    if (tone > 0) played[owner?.displayName ?? "?"] = Math.round(tone);
  }
  return {
    played,
    lit: [...document.querySelectorAll(".tile.speaking .tile-name")].map((name) => name.textContent ?? "").sort(),
    mids: pc.getTransceivers().filter((/** @type {any} */ each) => each.receiver.track.kind === "audio" && each.mid !== null).map((/** @type {any} */ each) => each.mid),
    carried: [...connection.roster.sections].filter(([, track]) => track !== null).length,
    descriptions: any.descriptions,
  };
});

/** @param {{[name: string]: Tab}} tabs @param {string[]} loud everybody else is silent */
const speak = (tabs, loud) => Promise.all(Object.entries(tabs).map(([name, tab]) => tab.ask((isLoud) => /** @type {any} */ (window).speak(isLoud), loud.includes(name))));

/**
 * Waits until exactly these are heard, each with a voice of its own, and lit.
 * @param {Tab} tab @param {string[]} names
 */
const hearsOnly = (tab, names) => until(
  async () => {
    const now = await heard(tab);
    const isRight = Object.keys(now.played).sort().join() === names.join() && now.lit.join() === names.join();
    return isRight && names.every((name) => Math.abs((now.played[name] ?? 0) - (VOICES[name] ?? 0)) < 20) ? now : null;
  },
  { within: 20_000, what: `${names.join(" and ")} are heard and lit`, every: 200, last: () => heard(tab) },
);

test("five speak in turn, two are heard, without another description", { timeout: 240_000 }, async (context) => {
  const lin = await chromium.tab();
  context.after(() => lin.close());
  /** @type {{[name: string]: Tab}} */
  const tabs = {};
  for (const [name, frequency] of Object.entries(VOICES)) {
    const tab = await chromium.tab({ width: 320, height: 200 });
    context.after(() => tab.close());
    await tab.page.addInitScript(toned, frequency);
    await tab.open(address("slots", name, { camera: "0" }), server.url);
    await tab.state("in");
    tabs[name] = tab;
  }
  await lin.page.addInitScript(counted);
  await lin.open(address("slots", "Lin", { camera: "0", audio: "0" }), server.url);
  await lin.state("in");

  await speak(tabs, ["Ada", "Bo"]);
  const first = await hearsOnly(lin, ["Ada", "Bo"]);
  assert.ok(first.mids.length >= SLOTS && first.mids.length < 5, `m-lines of sound: ${first.mids}`);
  for (const pair of [["Cy", "Di"], ["Ada", "Eve"], ["Bo", "Cy"]]) {
    const since = performance.now();
    await speak(tabs, pair);
    const now = await hearsOnly(lin, pair);
    context.diagnostic(`${pair.join(" and ")} are heard and lit after ${Math.round(performance.now() - since)} ms`);
    assert.deepEqual(now.mids, first.mids, "the same m-lines");
    assert.equal(now.descriptions, first.descriptions, "no other description");
  }
  // All at once: two of them, whose words are not cut by the others, who are no louder.
  await speak(tabs, Object.keys(VOICES));
  await until(async () => (await heard(lin)).lit.length >= SLOTS, { within: 10_000, what: "somebody is lit", last: () => heard(lin) });
  const all = await heard(lin);
  assert.deepEqual(Object.keys(all.played).sort(), ["Bo", "Cy"], JSON.stringify(all));
  assert.equal(all.descriptions, first.descriptions);
  await lin.screenshot("slots");
});
