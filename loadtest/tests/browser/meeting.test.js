// Two tabs in a meeting: seeing, hearing, muting, pausing, coming late, sharing, chatting.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { find, hears, others, received, sees, stands } from "./support/media.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/**
 * Two tabs in one room, gone when the test ends.
 * @param {import("node:test").TestContext} context
 * @param {string} room
 */
async function pairIn(context, room) {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join(room, "Ada");
  await lin.join(room, "Lin");
  return { ada, lin };
}

/** @param {import("./support/tabs.js").Tab} tab @param {string} label start of the button's name */
const press = (tab, label) => tab.page.click(`.toolbar button[aria-label^="${label}"]`);

/** Shares; who comes second by a moment is asked, and agrees. @param {import("./support/tabs.js").Tab} tab */
async function share(tab) {
  await press(tab, "Share");
  const agree = tab.page.locator("dialog button.danger");
  const isSharing = tab.page.locator('.toolbar button[aria-label^="Stop sharing"]');
  await agree.or(isSharing).first().waitFor();
  if (await agree.isVisible()) await agree.click();
  await isSharing.waitFor();
}

test("two tabs see and hear each other", async (context) => {
  const { ada, lin } = await pairIn(context, "see-and-hear");
  const seen = await Promise.all([sees(ada, "Lin"), sees(lin, "Ada"), hears(ada, "Lin"), hears(lin, "Ada")]);
  assert.deepEqual([seen[0].width, seen[0].height], [320, 240]);
  const statistics = await ada.ask(() => /** @type {any} */ (window).plenum.stats());
  assert.match(statistics.transport.srtp, /GCM/, "the server chose an AEAD");
  assert.notEqual(statistics.transport.dtls, "");
  // The tile itself paints what was decoded, not only the statistics count it.
  await until(
    () => ada.ask(() => [...document.querySelectorAll("video")].filter((video) => video.videoWidth > 0 && video.currentTime > 0).length === 2),
    { within: 5_000, what: "both tiles of Ada's page play" },
  );
  await ada.screenshot("two-tabs");
});

test("the sender's own estimate grows, since our feedback reaches it", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("estimate", "Ada", { video: "640x360@15" });
  // Chromium begins at 300 kb/s; without feedback it would go down from there.
  const look = async () => (await ada.ask(() => /** @type {any} */ (window).plenum.stats())).transport.estimateKbps;
  await until(async () => (await look()) > 600, { within: 15_000, what: "the estimate passes 600 kb/s", every: 200, last: look });
});

test("who joins before the browser's question is answered is seen and heard once it is", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("asked", "Lin");
  await ada.page.addInitScript(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    const answered = new Promise((resolve) => Object.assign(window, { answerQuestion: resolve }));
    navigator.mediaDevices.getUserMedia = (wanted) => answered.then(() => open(wanted));
  });
  await ada.open("/r/asked?video=320x240@15");
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await sees(ada, "Lin");
  await ada.ask(() => /** @type {any} */ (window).answerQuestion());
  await Promise.all([sees(lin, "Ada"), hears(lin, "Ada")]);
});

test("a page joins by its lobby and leaves by its button", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("lobby", "Lin");
  await ada.open("/r/lobby?video=320x240@15");
  await ada.page.fill("#name", "Ada Lovelace");
  await ada.screenshot("lobby");
  await ada.page.press("#name", "Enter");
  await ada.state("in");
  await others(lin, ["Ada Lovelace"]);
  await press(ada, "Leave");
  await ada.state("left");
  await others(lin, [], 2_000);
  assert.equal(await ada.page.textContent("h1"), "You left");
  await ada.page.click("text=Rejoin");
  await ada.state("in");
  await others(lin, ["Ada Lovelace"]);
});

test("a muted microphone is silent and shown as muted, and comes back", async (context) => {
  const { ada, lin } = await pairIn(context, "mute-microphone");
  await hears(lin, "Ada");
  await press(ada, "Mute");
  await until(async () => (await find(lin, "Ada", "MICROPHONE"))?.muted, { within: 3_000, what: "Lin is told" });
  await stands(lin, "Ada", { source: "MICROPHONE", field: "packets" });
  assert.equal(await lin.page.getAttribute('.tile:not([data-tile="/self"])', "aria-label"), "Ada, muted");
  await press(ada, "Unmute");
  await until(async () => (await find(lin, "Ada", "MICROPHONE"))?.muted === false, { within: 3_000, what: "Lin is told" });
  await hears(lin, "Ada");
});

test("a camera that is off sends nothing, and comes back with a picture", async (context) => {
  const { ada, lin } = await pairIn(context, "mute-camera");
  await sees(lin, "Ada");
  await press(ada, "Turn camera off");
  await until(async () => (await find(lin, "Ada", "CAMERA"))?.muted, { within: 3_000, what: "Lin is told" });
  await stands(lin, "Ada");
  await press(ada, "Turn camera on");
  await sees(lin, "Ada");
});

test("a subscription is paused and resumed", async (context) => {
  const { ada, lin } = await pairIn(context, "pause");
  await sees(lin, "Ada");
  const camera = await find(lin, "Ada", "CAMERA");
  assert.ok(camera);
  /** @param {boolean} paused */
  const pause = (paused) => lin.ask(
    ({ track, paused }) => /** @type {any} */ (window).plenum.connection.subscribe({ tracks: [{ track, paused }] }),
    { track: camera.track, paused },
  );
  await pause(true);
  await until(() => lin.ask((track) => /** @type {any} */ (window).plenum.connection.roster.paused.get(track) === "WISHED", camera.track), {
    within: 3_000,
    what: "the subscription says it is paused as wished",
  });
  // The page's wish for another size leaves the pause alone.
  await lin.ask(
    (track) => /** @type {any} */ (window).plenum.connection.subscribe({ tracks: [{ track, height: 240 }] }),
    camera.track,
  );
  await stands(lin, "Ada");
  await hears(lin, "Ada");
  await sees(ada, "Lin");
  await pause(false);
  await sees(lin, "Ada", { within: 3_000 });
});

test("who comes late gets a picture within two seconds", async (context) => {
  const { ada, lin } = await pairIn(context, "late");
  await sees(lin, "Ada");
  const grace = await chromium.tab();
  context.after(() => grace.close());
  await grace.join("late", "Grace");
  const joined = performance.now();
  await Promise.all([sees(grace, "Ada", { frames: 1, within: 2_000 }), sees(grace, "Lin", { frames: 1, within: 2_000 })]);
  context.diagnostic(`first pictures ${Math.round(performance.now() - joined)} ms after the welcome`);
  await sees(ada, "Grace");
});

test("a shared screen arrives beside the camera and goes when it is stopped", async (context) => {
  const { ada, lin } = await pairIn(context, "share");
  await sees(lin, "Ada");
  await press(ada, "Share");
  const screen = await sees(lin, "Ada", { source: "SCREEN" });
  assert.ok(screen.width > 320, `the screen is larger than the camera: ${screen.width}`);
  await sees(lin, "Ada");
  assert.ok((await lin.page.textContent(".stage"))?.includes("Ada is presenting"));
  await lin.screenshot("shared-screen");
  await press(ada, "Stop sharing");
  await until(async () => (await find(lin, "Ada", "SCREEN")) === null, { within: 3_000, what: "the screen is unpublished" });
  // A second share goes through the section that the first one left.
  await press(ada, "Share");
  await sees(lin, "Ada", { source: "SCREEN" });
  const sections = await ada.ask(() => /** @type {any} */ (window).plenum.pc.getTransceivers().length);
  assert.ok(sections <= 6, `sections do not pile up: ${sections}`);
});

test("two who share at once, and join at once, all see each other", async (context) => {
  const tabs = await Promise.all(["Ada", "Lin", "Grace"].map(() => chromium.tab()));
  const names = ["Ada", "Lin", "Grace"];
  context.after(() => Promise.all(tabs.map((tab) => tab.close())));
  await Promise.all(tabs.map((tab, index) => tab.join("glare", names[index] ?? "")));
  await Promise.all(tabs.slice(0, 2).map(share));
  for (const [index, tab] of tabs.entries()) {
    for (const other of names.filter((_, each) => each !== index)) {
      await sees(tab, other, { frames: 2 });
      if (other !== "Grace") await sees(tab, other, { source: "SCREEN", frames: 2 });
    }
  }
  for (const tab of tabs) {
    const problems = await tab.ask(() => /** @type {any} */ (window).plenum.problems);
    assert.deepEqual(problems, []);
  }
});

test("chat reaches everybody else, as text and never as markup", async (context) => {
  const { ada, lin } = await pairIn(context, "chat");
  await others(ada, ["Lin"]);
  await press(lin, "Chat");
  await lin.page.fill("textarea", "<b>hello</b> https://example.org/x");
  await lin.page.press("textarea", "Enter");
  await until(async () => (await ada.page.textContent(".toolbar .badge").catch(() => "")) === "1", { within: 3_000, what: "the badge counts one" });
  await press(ada, "Chat");
  const text = await ada.page.textContent(".messages .text");
  assert.equal(text, "<b>hello</b> https://example.org/x");
  assert.equal(await ada.page.getAttribute(".messages a", "rel"), "noopener noreferrer");
  assert.equal((await received(ada)).length > 0, true);
  await ada.screenshot("chat");
});

test("a second tab under the same identity replaces the first", async (context) => {
  const first = await chromium.tab();
  const second = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([first.close(), second.close(), lin.close()]));
  await lin.join("replace", "Lin");
  await first.join("replace", "Ada", { participant: "ada" });
  await sees(lin, "Ada");
  await second.join("replace", "Ada", { participant: "ada" });
  await first.state("left");
  assert.equal(await first.page.textContent("h1"), "You joined from another tab");
  await others(lin, ["Ada"]);
  await sees(lin, "Ada");
});

test("without camera and microphone one still sees and is in the list", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("listener", "Lin");
  await ada.open(address("listener", "Ada", { audio: "0", camera: "0" }));
  await ada.state("in");
  await Promise.all([sees(ada, "Lin"), hears(ada, "Lin"), others(lin, ["Ada"])]);
  // And the camera may come later.
  await press(ada, "Turn camera on");
  await sees(lin, "Ada");
});
