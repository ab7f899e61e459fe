// Each way to be out, by its real cause, with its sentence, its button and its picture.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertState } from "../support/axe.js";
import { call } from "../support/grpc.js";
import { others } from "../support/media.js";
import { press, says } from "../support/sentences.js";
import { startServer } from "../support/server.js";
import { address, startChromium } from "../support/tabs.js";
import { token } from "../support/tokens.js";
import { until } from "../support/until.js";

const QUIET = { camera: "0", audio: "0" };

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());

/** @param {import("../support/tabs.js").Tab} tab @param {string} title @param {string|null} button */
async function assertEnd(tab, title, button) {
  await says(tab, "h1", title);
  const buttons = await tab.ask(() => [...document.querySelectorAll(".end-buttons button")].map((each) => each.textContent));
  assert.deepEqual(buttons, button === null ? [] : [button]);
  const focused = await tab.ask(() => document.activeElement?.textContent);
  assert.equal(focused, button ?? "Home", "what one will press next has the focus");
}

test("leaving, and rejoining by the keyboard", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("end-left", "Ada", QUIET);
  await press(ada, "Leave");
  await assertEnd(ada, "You left", "Rejoin");
  await assertState(ada, "left");
  await ada.page.keyboard.press("Enter");
  await ada.state("in");
});

test("being removed, with the host's words", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("end-removed", "Ada", { ...QUIET, participant: "ada" });
  await call("ParticipantService/RemoveParticipant", { 1: "rooms/end-removed/participants/ada", 2: "Thank you for coming" });
  await assertEnd(ada, "The host removed you", null);
  await says(ada, ".end-message", "Thank you for coming");
  await assertState(ada, "removed");
});

test("the meeting is closed", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("end-closed", "Ada", QUIET);
  await call("RoomService/DeleteRoom", { 1: "rooms/end-closed" });
  await assertEnd(ada, "The meeting was closed", null);
  await assertState(ada, "closed");
});

test("another tab took over, and this one takes it back", async (context) => {
  const ada = await chromium.tab();
  const second = await chromium.tab();
  context.after(() => Promise.all([ada.close(), second.close()]));
  await ada.join("end-replaced", "Ada", { ...QUIET, participant: "ada" });
  await second.join("end-replaced", "Ada", { ...QUIET, participant: "ada" });
  await assertEnd(ada, "You joined from another tab", "Use here");
  await assertState(ada, "replaced");
  await ada.page.keyboard.press("Enter");
  await ada.state("in");
  await second.state("left");
});

test("the meeting is full, and says how many fit", async (context) => {
  await call("RoomService/CreateRoom", { 1: "end-full", 2: { 8: { 4: 1 } } });
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("end-full", "Lin", QUIET);
  await ada.open(address("end-full", "Ada", QUIET));
  await assertEnd(ada, "The meeting is full (1)", "Retry");
  await assertState(ada, "full");
  await press(lin, "Leave");
  await lin.state("left");
  await ada.page.click("text=Retry");
  await ada.state("in");
});

test("the link has expired", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("end-expired", "Lin", QUIET);
  const short = await token("end-expired", { participant: "ada", seconds: 10 });
  const expired = Date.now() + 10_000;
  await until(() => Date.now() > expired + 1_000, { within: 15_000, what: "its time is over" });
  // A little is granted to clocks that differ: it is over for sure once the server says so.
  await until(
    async () => {
      await ada.page.goto("about:blank");
      await ada.open(`${address("end-expired", "Ada", QUIET)}#token=${short}`);
      await until(() => ada.ask(() => ["in", "refused"].includes(/** @type {any} */ (window).plenum?.state)), { within: 10_000, what: "the server answers" });
      return ada.ask(() => /** @type {any} */ (window).plenum.state === "refused");
    },
    { within: 90_000, every: 5_000, what: "the token is refused" },
  );
  await assertEnd(ada, "This link has expired. Ask for a new one.", null);
  await assertState(ada, "expired");
  await others(lin, []);
});

test("UDP does not pass: the sentence names the port, Details the reason, and a report is copied", async (context) => {
  // An address of nobody: what is sent there is lost, as a firewall loses it.
  const blocked = await startServer({ port: 22_080, advertise: "10.88.9.9" });
  const ada = await chromium.tab(undefined, { permissions: ["clipboard-read", "clipboard-write", "camera", "microphone"] });
  context.after(async () => {
    await ada.close();
    await blocked.stop();
  });
  await ada.open(address("end-blocked", "Ada", QUIET), blocked.url);
  await ada.state("refused", 40_000);
  await assertEnd(ada, "We couldn't connect: your network blocks UDP port 22083", "Retry");
  await assertState(ada, "blocked");
  await ada.page.click("summary");
  await says(ada, "details", "UDP_BLOCKED");
  await ada.page.click("text=Copy report");
  await says(ada, "details", "Copied");
  assert.equal(JSON.parse(await ada.ask(() => navigator.clipboard.readText())).reason, "UDP_BLOCKED");
});

test("a script that does not arrive leaves a sentence, and a reload the token", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.page.emulateMedia({ reducedMotion: "reduce" });
  await ada.page.route("**/page/tile.js", (/** @type {any} */ route) => route.abort());
  const ticket = await token("end-unloaded", { participant: "ada" });
  await ada.open(`${address("end-unloaded", "Ada", QUIET)}#token=${ticket}`);
  assert.equal(await ada.ask(() => getComputedStyle(/** @type {Element} */ (document.querySelector(".unloaded"))).animationDelay), "5s", "not in sight of who only waits a moment");
  await ada.page.waitForSelector("text=Plenum has not loaded yet", { state: "visible", timeout: 10_000 });
  await assertState(ada, "unloaded");
  await ada.page.unroute("**/page/tile.js");
  await ada.page.reload();
  await ada.state("in");
  assert.match(await ada.ask(() => /** @type {any} */ (window).plenum.connection.welcome.participant), /(^|\/)ada$/, "the token is still known");
});
