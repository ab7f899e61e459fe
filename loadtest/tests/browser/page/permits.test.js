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
