// What was written while one was away stands on the chat button as unread, whichever way it came:
// told again over a new socket, or as history after a new join; and what was read does not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call } from "../support/grpc.js";
import { startLink } from "../support/link.js";
import { others } from "../support/media.js";
import { key, press, says } from "../support/sentences.js";
import { startServer } from "../support/server.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @import {Tab} from "../support/tabs.js" */

const PORT = 24_080;
const LINK = { http: 24_180, udp: 24_183, toHttp: PORT, toUdp: PORT + 3 };
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startLink>>} */
let link;
before(async () => {
  if (skip) return;
  server = await startServer({ port: PORT, environment: { PLENUM_ROOM__RESUME_WINDOW: "8s" } });
  // Ada's socket passes through it; media does not.
  link = await startLink(LINK);
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  link.close();
  await server.stop();
});
after(assertFrames);

/**
 * Ada by the link, Lin not, without cameras; Lin's chat is open.
 * @param {import("node:test").TestContext} context
 * @param {string} room
 */
async function pairIn(context, room) {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.open(address(room, "Ada", { camera: "0", audio: "0" }), link.url);
  await lin.open(address(room, "Lin", { camera: "0", audio: "0" }), server.url);
  await Promise.all([ada.state("in"), lin.state("in")]);
  await Promise.all([others(lin, ["Ada"]), others(ada, ["Lin"])]);
  await key(lin, "c");
  return { ada, lin };
}

/** @param {Tab} tab @param {string} text */
async function write(tab, text) {
  await tab.page.fill(".chat textarea", text);
  await tab.page.press(".chat textarea", "Enter");
}

/** What the chat button counts. @param {Tab} tab */
const unread = (tab) => tab.ask(() => document.querySelector('.toolbar [data-panel="chat"] .badge')?.textContent ?? "");
/** @param {Tab} tab @param {string} count */
const counts = (tab, count) => until(async () => (await unread(tab)) === count, { within: 10_000, what: `"${count}" is unread`, last: () => unread(tab) });
/** @param {Tab} tab */
const texts = (tab) => tab.ask(() => [...document.querySelectorAll(".messages .text")].map((each) => each.textContent));
/** @param {Tab} tab @param {string[]} wanted */
const reads = (tab, wanted) => until(async () => JSON.stringify(await texts(tab)) === JSON.stringify(wanted), { within: 10_000, what: `the chat holds ${wanted}`, last: () => texts(tab) });

/** Which stay it is: a new join makes another. @param {Tab} tab */
const markStay = (tab) => tab.ask(() => void ((/** @type {any} */ (window)).markedStay = /** @type {any} */ (window).plenum.connection.stay));
/** @param {Tab} tab */
const isMarkedStay = (tab) => tab.ask(() => /** @type {any} */ (window).markedStay === /** @type {any} */ (window).plenum.connection.stay);

test("after a lost socket what was missed is told again, and is unread", { skip, timeout: 120_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "unread-resumed");
  await markStay(ada);
  link.cut();
  await write(lin, "while you were away");
  await ada.state("resuming", 30_000);
  link.mend();
  await ada.state("in");
  await counts(ada, "1");
  assert.ok(await isMarkedStay(ada), "it was the same stay");
  await press(ada, "Chat");
  await counts(ada, "");
  assert.deepEqual(await texts(ada), ["while you were away"]);
});

test("after a new join the history's unread messages are counted, those read are not", { skip, timeout: 120_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "unread-rejoined");
  await write(lin, "read at once");
  await counts(ada, "1");
  await press(ada, "Chat");
  await counts(ada, "");
  await press(ada, "Chat");
  await markStay(ada);
  link.cut();
  await ada.state("resuming", 30_000);
  await others(lin, [], 40_000);
  await write(lin, "one");
  await write(lin, "two");
  link.mend();
  await ada.state("in", 20_000);
  await counts(ada, "2");
  assert.ok(!(await isMarkedStay(ada)), "it was a new join");
  await reads(ada, ["read at once", "one", "two"]);
});

test("who leaves and comes back, or reloads, finds unread what others wrote meanwhile and nothing else", { skip, timeout: 120_000 }, async (context) => {
  const { ada, lin } = await pairIn(context, "unread-back");
  await write(lin, "before");
  await press(ada, "Chat");
  await says(ada, ".messages", "before");
  await write(ada, "my own");
  await says(lin, ".messages", "my own");
  await press(ada, "Leave");
  await ada.state("left");
  await others(lin, []);
  await write(lin, "meanwhile");
  await ada.page.click("text=Rejoin");
  await ada.state("in");
  await counts(ada, "1");
  await press(ada, "Chat");
  await counts(ada, "");
  await write(ada, "my last word");
  await says(lin, ".messages", "my last word");
  await ada.page.reload();
  await ada.state("in");
  // Without a token she is somebody new to the server; her words are still her own.
  await reads(ada, ["before", "my own", "meanwhile", "my last word"]);
  assert.equal(await unread(ada), "", "all of it was read");
  const grace = await chromium.tab({ width: 390, height: 844 });
  context.after(() => grace.close());
  await grace.open(address("unread-back", "Grace", { camera: "0", audio: "0" }), server.url);
  await grace.state("in");
  await says(grace, ".toolbar .badge.only-phone", "4");
  await grace.page.click('.toolbar [aria-label^="More"]');
  await says(grace, ".menu", "Chat (4)");
});

test("what an application's backend writes is an announcement, not one's own", { skip }, async (context) => {
  const { ada } = await pairIn(context, "announced");
  await call("RoomService/SendMessage", { 1: "rooms/announced", 2: "chat", 3: "We close at six", 4: 1 }, server.grpc);
  await says(ada, ".toast", "Announcement: We close at six");
  await counts(ada, "1");
  await press(ada, "Chat");
  await says(ada, ".messages .who", "Announcement");
  assert.equal(await ada.page.locator(".messages .own").count(), 0);
});

test("what one wrote stands there once, also where the server takes one for somebody else by now", { skip }, async (context) => {
  const { ada } = await pairIn(context, "twice");
  await key(ada, "c");
  await write(ada, "once");
  const lines = () => ada.ask(() => [...document.querySelectorAll(".messages li .text")].map((line) => line.textContent));
  await until(async () => (await lines()).length === 1, { within: 3_000, what: "it stands there", last: lines });
  // The history of a new join, in which she has another id.
  await ada.ask(() => {
    const id = /** @type {HTMLElement} */ (document.querySelector(".messages li")).dataset.key?.trim();
    const time = new Date().toISOString();
    const messages = [
      { from: "p-before", from_name: "Ada", topic: "chat", payload: { text: "once", id }, time },
      { from: "p-other", from_name: "Eve", topic: "chat", payload: { text: "another", id: "x-1" }, time },
    ];
    /** @type {any} */ (window).plenum.connection.stay.emit("message", { type: "history", messages });
  });
  assert.deepEqual(await lines(), ["once", "another"]);
});
