// Data channels: four modes, text and binary, to the room and to one, and one large message.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { others } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const LARGE_BYTES = 256 * 1_024;
const MODES = [
  { name: "ordered, reliable", options: { ordered: true } },
  { name: "unordered, reliable", options: { ordered: false } },
  { name: "ordered, no retransmission", options: { ordered: true, maxRetransmits: 0 } },
  { name: "unordered, three retransmissions", options: { ordered: false, maxRetransmits: 3 } },
];

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {import("./support/tabs.js").Tab[]} */
let tabs = [];
before(async () => {
  chromium = await startChromium();
  const names = ["ada", "lin", "grace"];
  for (const name of names) {
    const tab = await chromium.tab();
    await tab.join("channels", name, { participant: name, camera: "0" });
    tabs.push(tab);
  }
  for (const [index, tab] of tabs.entries()) {
    await others(tab, names.filter((_, other) => other !== index));
    await tab.ask(() => {
      const scope = /** @type {any} */ (window);
      scope.got = [];
      /** @param {ArrayBuffer} buffer */
      scope.hash = async (buffer) => [...new Uint8Array(await crypto.subtle.digest("SHA-256", buffer))].map((each) => each.toString(16).padStart(2, "0")).join("");
      scope.plenum.connection.on("channel", async (/** @type {any} */ { topic, from, to, payload }) => {
        const text = typeof payload === "string";
        const place = scope.got.push({ topic, from, to, text, payload: text ? payload : null, bytes: text ? null : payload.byteLength, hash: null }) - 1;
        if (!text) scope.got[place].hash = await scope.hash(payload);
      });
    });
  }
});
after(async () => {
  await Promise.all(tabs.map((tab) => tab.close()));
  await chromium.close();
});
after(assertFrames);

/** @param {import("./support/tabs.js").Tab} tab @param {string} topic */
const got = (tab, topic) => tab.ask((topic) => /** @type {any} */ (window).got.filter((/** @type {any} */ each) => each.topic === topic), topic);

/**
 * Opens a channel in the first tab and sends texts, then bytes.
 * @param {string} topic
 * @param {{[option: string]: unknown}} options
 */
function send(topic, options) {
  return tabs[0]?.ask(
    async ({ topic, options }) => {
      const { plenum } = /** @type {any} */ (window);
      const channel = plenum.connection.openChannel(topic, options);
      if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
      for (let index = 0; index < 20; index += 1) channel.send(`text ${index} 你好`);
      channel.send(new Uint8Array([0, 1, 2, 253, 254, 255]));
    },
    { topic, options },
  );
}

for (const { name, options } of MODES) {
  test(`a channel that is ${name} keeps its mode and brings text and bytes to the room`, async () => {
    const topic = `mode ${name}`;
    await send(topic, options);
    for (const tab of tabs.slice(1)) {
      const messages = await until(async () => {
        const all = await got(tab, topic);
        return all.length === 21 && all.every((/** @type {any} */ each) => each.text || each.hash) ? all : null;
      }, { within: 5_000, what: "21 messages arrive", last: () => got(tab, topic) });
      const texts = messages.filter((/** @type {any} */ each) => each.text).map((/** @type {any} */ each) => each.payload);
      const wanted = Array.from({ length: 20 }, (_, index) => `text ${index} 你好`);
      assert.deepEqual(options.ordered ? texts : [...texts].sort(), options.ordered ? wanted : [...wanted].sort());
      const [bytes] = messages.filter((/** @type {any} */ each) => !each.text);
      assert.equal(bytes.bytes, 6);
      assert.ok(messages.every((/** @type {any} */ each) => each.from === "ada" && each.to === null));
      const mode = await tab.ask((topic) => {
        const { incoming } = /** @type {any} */ (window).plenum.connection.stay.channels;
        const channel = [...incoming.values()].find((each) => each.label === topic);
        return { ordered: channel.ordered, maxRetransmits: channel.maxRetransmits, protocol: channel.protocol };
      }, topic);
      assert.deepEqual(mode, { ordered: options.ordered, maxRetransmits: options.maxRetransmits ?? null, protocol: "" });
    }
  });
}

test("a channel to one participant reaches that one alone", async () => {
  const [, lin, grace] = /** @type {[any, import("./support/tabs.js").Tab, import("./support/tabs.js").Tab]} */ (tabs);
  await send("to lin", { to: "lin" });
  await send("to all", {});
  await until(async () => (await got(grace, "to all")).length === 21, { within: 5_000, what: "what is for all reaches Grace" });
  const atLin = await until(async () => {
    const all = await got(lin, "to lin");
    return all.length === 21 ? all : null;
  }, { within: 5_000, what: "what is for Lin reaches Lin" });
  assert.equal(atLin[0].to, "lin");
  assert.deepEqual(await got(grace, "to lin"), []);
});

test("256 KiB in one send arrive whole, byte for byte", async () => {
  const hash = await tabs[0]?.ask(async (bytes) => {
    const scope = /** @type {any} */ (window);
    const channel = scope.plenum.connection.openChannel("large");
    if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
    const payload = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(payload.subarray(at, at + 65_536));
    channel.send(payload);
    return scope.hash(payload.buffer);
  }, LARGE_BYTES);
  for (const tab of tabs.slice(1)) {
    const [message] = await until(async () => {
      const all = await got(tab, "large");
      return all[0]?.hash ? all : null;
    }, { within: 10_000, what: "the large message arrives", last: () => got(tab, "large") });
    assert.deepEqual([message.bytes, message.hash], [LARGE_BYTES, hash]);
  }
});

test("who comes later gets the channels that are open", async (context) => {
  const [ada] = /** @type {[import("./support/tabs.js").Tab]} */ (tabs);
  await ada.ask(async () => {
    const scope = /** @type {any} */ (window);
    scope.later = scope.plenum.connection.openChannel("later");
    if (scope.later.readyState !== "open") await new Promise((resolve) => (scope.later.onopen = resolve));
  });
  const late = await chromium.tab();
  context.after(() => late.close());
  await late.join("channels", "late", { camera: "0" });
  await late.ask(() => {
    const scope = /** @type {any} */ (window);
    scope.got = [];
    scope.plenum.connection.on("channel", (/** @type {any} */ message) => scope.got.push(message));
  });
  await until(async () => {
    await ada.ask(() => /** @type {any} */ (window).later.send("again"));
    return (await got(late, "later")).length > 0;
  }, { within: 5_000, what: "a message of an open channel reaches who came later" });
});

