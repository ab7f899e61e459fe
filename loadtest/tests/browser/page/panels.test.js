// Beside the stage: chat, people, hands, joins, keys.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertState } from "../support/axe.js";
import { find, hears, others, stands } from "../support/media.js";
import { key, press, says } from "../support/sentences.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { token } from "../support/tokens.js";
import { until } from "../support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/**
 * Tabs in one room, in this order, without camera.
 * @param {import("node:test").TestContext} context
 * @param {string} room
 * @param {string[]} names
 */
async function inside(context, room, names) {
  const tabs = [];
  for (const name of names) {
    const tab = await chromium.tab();
    context.after(() => tab.close());
    await tab.join(room, name, { camera: "0" });
    tabs.push(tab);
  }
  return /** @type {[any, any, any]} */ (/** @type {unknown} */ (tabs));
}

/** @param {import("../support/tabs.js").Tab} tab @param {string} text */
async function write(tab, text) {
  await tab.page.fill(".chat textarea", text);
  await tab.page.press(".chat textarea", "Enter");
}
/** @param {import("../support/tabs.js").Tab} tab */
const texts = (tab) => tab.ask(() => [...document.querySelectorAll(".messages .text")].map((each) => each.textContent));

test("chat: lines, groups, links, a badge, a toast, one person, and a history for who comes late", async (context) => {
  const [ada, lin, grace] = await inside(context, "chat-whole", ["Ada", "Lin", "Grace"]);
  await others(lin, ["Ada", "Grace"]);
  await key(lin, "c");
  await lin.page.fill(".chat textarea", "first");
  await lin.page.press(".chat textarea", "Shift+Enter");
  await lin.page.keyboard.type("second javascript:alert(1) https://example.org/x");
  await lin.page.keyboard.press("Enter");
  await says(ada, ".toast", "Lin: first");
  await says(ada, ".toolbar .badge", "1");
  await write(lin, "and more");
  await says(ada, ".toolbar .badge", "2");
  await key(ada, "c");
  assert.equal(await ada.page.locator(".toast:has-text('Lin:')").count(), 0, "what the panel shows is not said beside it");
  assert.deepEqual(await texts(ada), ["first\nsecond javascript:alert(1) https://example.org/x", "and more"]);
  assert.deepEqual(await ada.ask(() => [...document.querySelectorAll(".messages a")].map((each) => [each.getAttribute("href"), each.getAttribute("rel")])), [["https://example.org/x", "noopener noreferrer"]]);
  assert.equal(await ada.page.locator(".messages .who").count(), 1, "within three minutes there is one name");
  assert.equal(await ada.page.locator(".toolbar .badge").count(), 0, "what is read is not unread");

  await lin.page.selectOption("#chat-to", { label: "Ada" });
  await write(lin, "for you alone");
  await says(ada, ".messages", "for you alone");
  await says(ada, ".messages .private", "to you only");
  await says(lin, ".messages .private", "to Ada");

  await lin.page.fill(".chat textarea", "x".repeat(5_000));
  assert.equal((await lin.page.inputValue(".chat textarea")).length <= 5_000, true);
  await lin.page.fill(".chat textarea", "");
  await lin.ask(() => document.querySelector("textarea")?.focus());
  await lin.page.keyboard.insertText("y".repeat(4_100));
  assert.equal((await lin.page.inputValue(".chat textarea")).length, 4_000);
  await says(lin, ".chat .length", "0 characters left");
  await lin.page.fill(".chat textarea", "");
  await assertState(ada, "chat");

  const joan = await chromium.tab();
  context.after(() => joan.close());
  await joan.join("chat-whole", "Joan", { camera: "0" });
  await until(async () => (await texts(joan)).length === 2, { within: 5_000, what: "Joan reads what was said to all", last: () => texts(joan) });
  await key(grace, "c");
  assert.ok(!(await texts(grace)).includes("for you alone"), "what is private went to nobody else");
});

test("hands: on the tile, a toast, first in the list by time; joins make one toast", async (context) => {
  const [ada, lin, grace] = await inside(context, "hands", ["Ada", "Lin", "Grace"]);
  await says(ada, ".toast", "Lin and Grace joined");
  await key(grace, "r");
  await says(ada, ".toast", "Grace raised a hand");
  await key(lin, "r");
  await says(ada, ".toast", "Lin raised a hand");
  await key(ada, "p");
  const order = () => ada.ask(() => [...document.querySelectorAll(".people-list .person-name")].map((each) => each.firstChild?.textContent));
  assert.deepEqual(await order(), ["Grace", "Lin", "Ada (you)"]);
  await says(ada, ".panel.people h2", "People (3)");
  await ada.page.fill(".people-search", "gra");
  assert.deepEqual(await order(), ["Grace"]);
  await ada.page.fill(".people-search", "");
  await assertState(ada, "people");
  await press(grace, "Lower hand");
  await until(async () => (await order())[0] === "Lin", { within: 3_000, what: "Grace's hand is down", last: order });
});

test("an admin mutes, lowers a hand, removes after a question, and locks", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  const admin = await token("admin", { participant: "ada", name: "Ada", admin: true });
  await ada.open(`${address("admin", "Ada", { camera: "0" })}#token=${admin}`);
  await ada.state("in");
  const [lin] = await inside(context, "admin", ["Lin"]);
  await hears(ada, "Lin");
  await key(lin, "r");
  await key(ada, "p");
  await ada.page.click('[aria-label="Lower Lin\'s hand"]');
  await until(() => ada.page.locator(".person-hand").count().then((count) => count === 0), { within: 3_000, what: "the hand is down" });
  await assertState(ada, "people-admin");
  await ada.page.click('.people [aria-label="Mute Lin"]');
  await until(async () => (await find(ada, "Lin", "MICROPHONE"))?.muted, { within: 3_000, what: "Lin is muted" });
  await stands(ada, "Lin", { source: "MICROPHONE", field: "packets" });
  await ada.page.click("text=Lock meeting");
  await until(() => lin.ask(() => /** @type {any} */ (window).plenum.connection.room.locked), { within: 3_000, what: "everybody knows it is locked" });
  const eve = await chromium.tab();
  context.after(() => eve.close());
  await eve.open(address("admin", "Eve", { camera: "0" }));
  await eve.state("refused");
  assert.equal(await eve.page.textContent("h1"), "The meeting is locked");
  await assertState(eve, "locked");
  await ada.page.click('.people [aria-label="Remove Lin"]');
  await says(ada, "dialog", "Remove Lin?");
  await assertState(ada, "remove");
  await ada.page.click("dialog >> text=Cancel");
  await ada.state("in");
  await ada.page.click('.people [aria-label="Remove Lin"]');
  await ada.page.click("dialog button.danger");
  await lin.state("left");
  assert.equal(await lin.page.textContent("h1"), "The host removed you");
  assert.equal(await lin.page.locator(".end button").count(), 0, "with no button that would not help");
  await others(ada, []);
});

test("a press is a click, though people come and go under it", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  const admin = await token("pressed", { participant: "ada", name: "Ada", admin: true });
  await ada.open(`${address("pressed", "Ada", { camera: "0" })}#token=${admin}`);
  await ada.state("in");
  await inside(context, "pressed", ["Lin"]);
  await hears(ada, "Lin");
  await key(ada, "p");
  /** @param {string} selector @param {() => Promise<unknown>} meanwhile */
  const hold = async (selector, meanwhile) => {
    await ada.page.hover(selector);
    await ada.page.mouse.down();
    await meanwhile();
    await ada.page.mouse.up();
  };
  await hold('.people [aria-label="Mute Lin"]', async () => {
    await inside(context, "pressed", ["Grace"]);
    await others(ada, ["Lin", "Grace"]);
  });
  await until(async () => (await find(ada, "Lin", "MICROPHONE"))?.muted, { within: 3_000, what: "Lin is muted" });
  await hold('.toolbar button[aria-label^="Chat"]', async () => {
    await inside(context, "pressed", ["Mary"]);
    await others(ada, ["Lin", "Grace", "Mary"]);
  });
  await ada.page.locator(".chat textarea").waitFor({ timeout: 3_000 });
});

test("who waits sees so, is admitted or denied, and the title tells", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  const admin = await token("waiting", { participant: "ada", name: "Ada", admin: true });
  await ada.open(`${address("waiting", "Ada", { camera: "0" })}#token=${admin}`);
  await ada.state("in");
  await key(ada, "p");
  await ada.page.click(".people footer >> text=Waiting room");
  await until(() => ada.ask(() => /** @type {any} */ (window).plenum.connection.room.waiting_room), { within: 3_000, what: "there is a waiting room" });
  const lin = await chromium.tab();
  const eve = await chromium.tab();
  context.after(() => Promise.all([lin.close(), eve.close()]));
  for (const [tab, name] of /** @type {const} */ ([[lin, "Lin"], [eve, "Eve"]])) {
    await tab.open(address("waiting", name));
    await tab.state("waiting");
    await says(tab, "h1", "The host will let you in soon");
  }
  await until(() => lin.ask(() => (document.querySelector(".preview video")?.videoWidth ?? 0) > 0), { within: 5_000, what: "the preview stays" });
  await assertState(lin, "waiting");
  await says(ada, ".people-waiting", "Lin");
  await says(ada, ".people-waiting", "Eve");
  await assertState(ada, "people-waiting");
  await ada.page.click('[aria-label="Admit Lin"]');
  await lin.state("in");
  assert.match(await lin.page.title(), /^You're in · /);
  await others(ada, ["Lin"]);
  await ada.page.click('[aria-label="Deny Eve"]');
  await eve.state("left");
});

test("every key does what the list says, none while typing, and all can be switched off", async (context) => {
  const [ada] = await inside(context, "keys", ["Ada"]);
  const pressed = (/** @type {string} */ name) => ada.page.locator(`.toolbar button[aria-label^="${name}"]`).count().then((/** @type {number} */ count) => count > 0);
  const becomes = (/** @type {string} */ name) => until(() => pressed(name), { within: 5_000, what: `there is a button "${name}"` });
  await key(ada, "m");
  await becomes("Unmute microphone");
  await key(ada, "Control+d");
  await becomes("Mute microphone");
  await key(ada, "v");
  await becomes("Turn camera off");
  await key(ada, "Control+e");
  await becomes("Turn camera on");
  await key(ada, "m");
  await becomes("Unmute microphone");
  await ada.ask(() => /** @type {HTMLElement|null} */ (document.activeElement)?.blur());
  await ada.page.keyboard.down("Space");
  await becomes("Mute microphone");
  await ada.page.keyboard.up("Space");
  await becomes("Unmute microphone");
  await key(ada, "r");
  await becomes("Lower hand");
  for (const [name, panel] of [["c", ".chat"], ["p", ".people"], ["a", ".panel:has(.statistics)"]]) {
    await key(ada, name ?? "");
    await ada.page.waitForSelector(`.panel${panel?.replace(".panel", "")}:not([hidden])`);
    await ada.page.keyboard.press("Escape");
    await until(() => ada.page.locator(".panel:not([hidden])").count().then((/** @type {number} */ count) => count === 0), { within: 3_000, what: "Esc closes" });
  }
  await key(ada, "c");
  await ada.page.waitForSelector(".chat:not([hidden])");
  await ada.page.keyboard.type("mvrpa");
  assert.equal(await ada.page.inputValue(".chat textarea"), "mvrpa");
  assert.ok(await pressed("Unmute microphone"), "typing is no command");
  await ada.page.keyboard.press("Escape");
  await key(ada, "?");
  await says(ada, "dialog", "Hold to talk while muted");
  assert.ok(await ada.ask(() => document.activeElement?.closest("dialog") !== null), "the focus is in the dialog");
  await assertState(ada, "keys");
  await ada.page.keyboard.press("Escape");
  await ada.ask(() => localStorage.setItem("plenum.keys", "off"));
  await key(ada, "m");
  await key(ada, "c");
  assert.ok(await pressed("Unmute microphone"));
  assert.equal(await ada.page.locator(".chat:not([hidden])").count(), 0);
});

test("the settings hold devices, language, keys and the chime, and give the focus back", async (context) => {
  const [ada] = await inside(context, "settings", ["Ada"]);
  await openSettings(ada);
  await assertState(ada, "settings");
  await ada.page.selectOption("#settings-language", "zh-CN");
  await ada.page.click("dialog label:has-text('Chime')");
  assert.deepEqual(await ada.ask(() => [localStorage.getItem("plenum.language"), localStorage.getItem("plenum.chime")]), ["zh-CN", "off"]);
  for (let presses = 0; presses < 30; presses += 1) {
    await ada.page.keyboard.press("Tab");
    const where = await ada.ask(() => (document.activeElement === document.body ? "body" : document.activeElement?.closest("dialog") ? "dialog" : "page"));
    assert.notEqual(where, "page", "Tab stays in the dialog");
  }
  await ada.page.keyboard.press("Escape");
  await until(async () => (await ada.page.locator("dialog").count()) === 0, { within: 3_000, what: "Esc closes it" });
});

/** The button stands in the bar or in its More menu. @param {import("../support/tabs.js").Tab} tab */
async function openSettings(tab) {
  if ((await tab.page.locator('.toolbar [aria-label="Settings"]:visible').count()) === 0) await tab.page.click('.toolbar [aria-label^="More"]');
  await tab.page.click("button:visible:has-text('Settings')");
  await tab.page.waitForSelector("dialog[open]");
}
