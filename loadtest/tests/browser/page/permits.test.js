// What the host takes away and gives back while the tab stays: the page says so, its buttons say
// so, and once it is allowed again one click is enough for the others to see and hear.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call } from "../support/grpc.js";
import { find, hears, others, sees, stands } from "../support/media.js";
import { key, press, says } from "../support/sentences.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { assertAccessible } from "../support/axe.js";
import { token } from "../support/tokens.js";
import { until } from "../support/until.js";

/** @import {Tab} from "../support/tabs.js" */
/** @typedef {"CAMERA"|"MICROPHONE"|"SCREEN"|"SCREEN_AUDIO"} Source */

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

const NUMBERS = { CAMERA: 1, MICROPHONE: 2, SCREEN: 3, SCREEN_AUDIO: 4 };
/** @type {Source[]} */
const ALL = ["CAMERA", "MICROPHONE", "SCREEN", "SCREEN_AUDIO"];

/** As a protobuf message. @param {Source[]} sources */
const permissions = (sources) => ({ 1: String.fromCharCode(...sources.map((source) => NUMBERS[source])), 2: 1, 3: 1 });

/** Says by whom and how Lin's permissions are changed. @type {{[way: string]: (ada: Tab, room: string, sources: Source[]) => Promise<unknown>}} */
const WAYS = {
  "gRPC": (_, room, sources) =>
    call("ParticipantService/UpdateParticipant", { 1: { 1: `rooms/${room}/participants/lin`, 10: permissions(sources) }, 2: { 1: "permissions" } }),
  "an admin's command": (ada, room, sources) =>
    ada.ask(({ room, sources }) => {
      const participant = { name: `rooms/${room}/participants/lin`, permissions: { publish_sources: sources, subscribe: true, send_data: true } };
      return /** @type {any} */ (window).plenum.connection.command("UpdateParticipant", { participant, update_mask: "permissions" });
    }, { room, sources }),
};

/**
 * Ada is the host, Lin's token is what is said.
 * @param {import("node:test").TestContext} context
 * @param {string} room
 * @param {Source[]} sources
 */
async function pairIn(context, room, sources = ALL) {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  const admin = await token(room, { participant: "ada", name: "Ada", admin: true });
  await ada.open(`${address(room, "Ada", { camera: "0" })}#token=${admin}`);
  await ada.state("in");
  const guest = await token(room, { participant: "lin", name: "Lin", permissions: permissions(sources) });
  await lin.open(`${address(room, "Lin")}#token=${guest}`);
  await lin.state("in");
  await others(ada, ["Lin"]);
  return { ada, lin };
}

/** Whether Ada's tile of Lin shows a picture. @param {Tab} ada */
const hasPicture = (ada) => ada.ask(() => document.querySelector('.tile[data-tile="lin"]')?.classList.contains("has-video"));
/** The state of a button of the bar: [what a press does, aria-disabled]. @param {Tab} tab @param {"camera"|"microphone"} what */
const button = (tab, what) => tab.ask((what) => {
  const found = document.querySelector(`.toolbar button[aria-label*="${what}"]`);
  return [found?.getAttribute("aria-label"), found?.getAttribute("aria-disabled")];
}, what);
/** @param {Tab} tab @param {"camera"|"microphone"} what @param {[string, string|null]} wanted */
const shows = (tab, what, wanted) => until(async () => JSON.stringify(await button(tab, what)) === JSON.stringify(wanted), {
  within: 5_000, what: `the button says ${wanted}`, last: () => button(tab, what),
});
/** Presses a button that says it is disabled: it tells why. @param {Tab} tab @param {string} label */
const pressDenied = (tab, label) => tab.page.click(`.toolbar button[aria-label^="${label}"][aria-disabled="true"]`, { force: true });
/** Lin's microphone is muted for Ada, and none of it arrives. @param {Tab} ada */
async function isSilent(ada) {
  await until(async () => (await find(ada, "Lin", "MICROPHONE"))?.muted ?? true, { within: 5_000, what: "Lin is shown as muted" });
  await stands(ada, "Lin", { source: "MICROPHONE", field: "packets" });
}

for (const [way, permit] of Object.entries(WAYS)) {
  test(`the camera is taken away and given back by ${way}`, async (context) => {
    const room = `camera-${way.length}`;
    const { ada, lin } = await pairIn(context, room);
    await sees(ada, "Lin");
    await permit(ada, room, ["MICROPHONE", "SCREEN", "SCREEN_AUDIO"]);
    await says(lin, ".toast", "The host turned off your camera");
    await shows(lin, "camera", ["Turn camera on (V)", "true"]);
    assert.equal(await lin.ask(() => document.querySelector('.tile[data-tile="/self"]')?.classList.contains("has-video")), false, "she sees herself without a picture");
    await stands(ada, "Lin");
    await until(async () => !(await hasPicture(ada)), { within: 3_000, what: "Ada sees initials and no last picture" });
    await hears(ada, "Lin");
    await pressDenied(lin, "Turn camera on");
    await says(lin, ".toast", "The host does not let you use your camera");
    await shows(lin, "camera", ["Turn camera on (V)", "true"]);
    await assertAccessible(lin, "without permission for the camera");
    await lin.screenshot("camera-denied");

    await permit(ada, room, ALL);
    await says(lin, ".toast", "You may turn on your camera now");
    await shows(lin, "camera", ["Turn camera on (V)", null]);
    assert.equal(await hasPicture(ada), false, "nobody's camera goes on by itself");
    await press(lin, "Turn camera on");
    await sees(ada, "Lin", { within: 5_000 });
    await until(() => hasPicture(ada), { within: 3_000, what: "Ada's tile shows her" });
  });

  test(`the microphone is taken away and given back by ${way}`, async (context) => {
    const room = `microphone-${way.length}`;
    const { ada, lin } = await pairIn(context, room);
    await hears(ada, "Lin");
    await permit(ada, room, ["CAMERA", "SCREEN", "SCREEN_AUDIO"]);
    await says(lin, ".toast", "The host turned off your microphone");
    await shows(lin, "microphone", ["Unmute microphone (M)", "true"]);
    await isSilent(ada);
    await sees(ada, "Lin");
    await key(lin, "m");
    await says(lin, ".toast", "The host does not let you use your microphone");
    await shows(lin, "microphone", ["Unmute microphone (M)", "true"]);
    await permit(ada, room, ALL);
    await says(lin, ".toast", "You may turn on your microphone now");
    await isSilent(ada);
    // The toast's own button is the one click.
    await lin.page.click(".toast >> text=Unmute");
    await shows(lin, "microphone", ["Mute microphone (M)", null]);
    await hears(ada, "Lin", 5_000);
  });

  test(`what the token denied is given by ${way}, camera and microphone`, async (context) => {
    const room = `token-${way.length}`;
    const { ada, lin } = await pairIn(context, room, []);
    await says(lin, ".toasts", "The host does not let you use your camera");
    await says(lin, ".toasts", "The host does not let you use your microphone");
    await shows(lin, "camera", ["Turn camera on (V)", "true"]);
    await shows(lin, "microphone", ["Unmute microphone (M)", "true"]);
    assert.equal(await find(ada, "Lin", "CAMERA"), null, "there is no track of hers");
    await permit(ada, room, ["CAMERA"]);
    await says(lin, ".toast", "You may turn on your camera now");
    assert.equal(await hasPicture(ada), false);
    await press(lin, "Turn camera on");
    await sees(ada, "Lin", { within: 5_000 });
    await shows(lin, "microphone", ["Unmute microphone (M)", "true"]);
    await permit(ada, room, ["CAMERA", "MICROPHONE"]);
    await says(lin, ".toast", "You may turn on your microphone now");
    await press(lin, "Unmute microphone");
    await hears(ada, "Lin", 5_000);
    await sees(ada, "Lin");
  });
}

test("one source denied does not take the others' names: a shared screen is a screen", async (context) => {
  const { ada, lin } = await pairIn(context, "named", ["SCREEN", "SCREEN_AUDIO"]);
  await press(lin, "Share");
  await sees(ada, "Lin", { source: "SCREEN" });
  await says(ada, ".tile .tile-name", "Lin is presenting");
  await WAYS["gRPC"]?.(ada, "named", ["CAMERA"]);
  await says(lin, ".toast", "The host stopped your sharing");
  await until(async () => (await find(ada, "Lin", "SCREEN")) === null, { within: 5_000, what: "the screen is gone" });
  await pressDenied(lin, "Share");
  await says(lin, ".toast", "The host does not let you share your screen");
});

test("whom the host mutes sees so, and unmutes with one click", async (context) => {
  const { ada, lin } = await pairIn(context, "muted");
  await hears(ada, "Lin");
  await key(ada, "p");
  await ada.page.click('.people [aria-label="Mute Lin"]');
  await says(lin, ".toast", "The host muted you. You can unmute yourself.");
  await shows(lin, "microphone", ["Unmute microphone (M)", null]);
  await isSilent(ada);
  await press(lin, "Unmute microphone");
  await hears(ada, "Lin", 5_000);
  await shows(lin, "microphone", ["Mute microphone (M)", null]);
});

test("who mutes and unmutes again and again is never told that the host did", async (context) => {
  const { ada, lin } = await pairIn(context, "own-mute");
  await hears(ada, "Lin");
  for (let presses = 0; presses < 10; presses += 1) await key(lin, "m");
  await shows(lin, "microphone", ["Mute microphone (M)", null]);
  await hears(ada, "Lin");
  assert.equal(await lin.page.locator(".toast:has-text('host')").count(), 0);
});

test("who may not write reads so in the chat, who may not receive is told", async (context) => {
  const { lin } = await pairIn(context, "silenced");
  await press(lin, "Chat");
  /** @param {import("../support/grpc.js").Message} may */
  const permit = (may) => call("ParticipantService/UpdateParticipant", { 1: { 1: "rooms/silenced/participants/lin", 10: { 1: "\u0001\u0002", ...may } }, 2: { 1: "permissions" } });
  await permit({ 2: 1 });
  await says(lin, ".chat-form", "The host does not let you write messages");
  await permit({ 3: 1 });
  await says(lin, ".toast", "The host does not let you see and hear the others");
  await until(() => lin.ask(() => !/** @type {HTMLElement} */ (document.querySelector(".chat-form")).innerText.includes("host")), { within: 3_000, what: "she may write" });
  await permit({ 2: 1, 3: 1 });
  await says(lin, ".toast", "You see and hear the others again");
});

/** Mutes a track of Lin's as a host does. @param {Tab} ada @param {string} track */
const hostMutes = (ada, track) => ada.ask((track) => {
  const { connection } = /** @type {any} */ (window).plenum;
  return connection.command("SetTrackMuted", { name: `rooms/${connection.room.name}/tracks/${track}`, muted: true });
}, track);

/** Whether the server says that the host has muted an own track. @param {Tab} lin @param {Source} source */
const isMutedByHost = (lin, source) => lin.ask((source) => {
  const own = [.../** @type {any} */ (window).plenum.connection.roster.own.tracks.values()];
  return own.some((track) => track.source === source && track.server_muted === true);
}, source);

test("whom the host mutes while muted unmutes with one press all the same", async (context) => {
  const { ada, lin } = await pairIn(context, "muted-twice");
  await hears(ada, "Lin");
  await press(lin, "Mute microphone");
  await isSilent(ada);
  await hostMutes(ada, (await find(ada, "Lin", "MICROPHONE"))?.track ?? "");
  await until(() => isMutedByHost(lin, "MICROPHONE"), { within: 5_000, what: "Lin's page knows that the host muted her too" });
  await press(lin, "Unmute microphone");
  await hears(ada, "Lin", 5_000);
  await shows(lin, "microphone", ["Mute microphone (M)", null]);
  assert.equal(await lin.page.locator(".toast:has-text('host')").count(), 0);
});

test("who unmutes while the server does not hear it is not told that the host muted them", async (context) => {
  const { ada, lin } = await pairIn(context, "unheard");
  await hears(ada, "Lin");
  await press(lin, "Mute microphone");
  await isSilent(ada);
  // As over a socket that is gone and nobody knows yet: what is said of mutes does not arrive.
  await lin.ask(() => {
    const { stay } = /** @type {any} */ (window).plenum.connection;
    const { send } = stay;
    Object.assign(window, { unheard: 0 });
    stay.send = (/** @type {any} */ message) => (message.type === "mute" ? ((/** @type {any} */ (window).unheard += 1), false) : send.call(stay, message));
  });
  await press(lin, "Unmute microphone");
  await until(() => lin.ask(() => /** @type {any} */ (window).unheard === 1), { within: 2_000, what: "it was said and not heard" });
  // Longer than anybody would wait for an answer; meanwhile the roster changes again and again.
  const raise = (/** @type {number} */ hands) => ada.ask((hand) => /** @type {any} */ (window).plenum.connection.update({ attributes: { hand } }), hands % 2 === 0 ? new Date().toISOString() : null);
  const end = performance.now() + 3_000;
  for (let hands = 0; performance.now() < end; hands += 1) {
    const [, told] = await Promise.all([raise(hands), lin.page.locator(".toast:has-text('muted you')").count(), new Promise((resolve) => setTimeout(resolve, 300))]);
    assert.equal(told, 0);
  }
  await shows(lin, "microphone", ["Mute microphone (M)", null]);
});

/** Runs in the page before its own scripts: the chooser of screens answers once `choose` is called. */
function chooser() {
  /** @type {MediaStreamTrack[]} */
  const shared = [];
  Object.assign(window, { shared });
  navigator.mediaDevices.getDisplayMedia = () => new Promise((resolve) => {
    const choose = () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
      const paint = canvas.getContext("2d");
      let tick = 0;
      setInterval(() => {
        if (!paint) return;
        paint.fillStyle = `hsl(${(tick += 7) % 360} 80% 50%)`;
        paint.fillRect(0, 0, 640, 360);
      }, 100);
      const context = new AudioContext();
      const tone = new OscillatorNode(context);
      const sound = context.createMediaStreamDestination();
      tone.connect(sound);
      tone.start();
      const stream = new MediaStream([...canvas.captureStream(10).getVideoTracks(), ...sound.stream.getAudioTracks()]);
      shared.push(...stream.getTracks());
      resolve(stream);
    };
    Object.assign(window, { choose });
  });
}
/** @param {Tab} tab */
const choose = (tab) => tab.ask(() => /** @type {any} */ (window).choose());

test("a screen that is chosen after the permission went is not shared, and let go of", async (context) => {
  const { ada, lin } = await pairIn(context, "chosen-late");
  await lin.ask(chooser);
  await press(lin, "Share");
  await until(() => lin.ask(() => "choose" in window), { within: 3_000, what: "the chooser is open" });
  await WAYS["gRPC"]?.(ada, "chosen-late", ["CAMERA", "MICROPHONE"]);
  await until(() => lin.ask(() => !/** @type {any} */ (window).plenum.connection.may("SCREEN")), { within: 5_000, what: "Lin may not share any more" });
  await choose(lin);
  await says(lin, ".toast", "The host does not let you share your screen");
  const states = await lin.ask(() => /** @type {any} */ (window).shared.map((/** @type {MediaStreamTrack} */ track) => track.readyState));
  assert.deepEqual(states, ["ended", "ended"], "the browser's own sign that a screen is shared goes");
  assert.equal(await find(ada, "Lin", "SCREEN"), null);
});

test("the host mutes a voice by its tile and a screen's sound by the screen's, whose sharer is told", async (context) => {
  const { ada, lin } = await pairIn(context, "screen-sound");
  await lin.ask(chooser);
  await press(lin, "Share");
  await until(() => lin.ask(() => "choose" in window), { within: 3_000, what: "the chooser is open" });
  await choose(lin);
  await sees(ada, "Lin", { source: "SCREEN" });
  await until(async () => (await find(ada, "Lin", "SCREEN_AUDIO"))?.muted === false, { within: 5_000, what: "the screen has sound" });
  /** @param {string} tile */
  const mute = async (tile) => {
    await ada.page.hover(`.tile[data-tile="${tile}"]`);
    await ada.page.click(`.tile[data-tile="${tile}"] .tile-menu`);
    await ada.page.click('[role="menu"] >> text=Mute');
  };
  await mute("lin");
  await says(lin, ".toast", "The host muted you. You can unmute yourself.");
  assert.equal((await find(ada, "Lin", "SCREEN_AUDIO"))?.muted, false, "her screen is still heard");
  await mute("lin/screen");
  await says(lin, ".toast", "The host muted the sound of your screen");
  await until(async () => (await find(ada, "Lin", "SCREEN_AUDIO"))?.muted === true, { within: 5_000, what: "the screen is silent" });
  await sees(ada, "Lin", { source: "SCREEN" });
});
