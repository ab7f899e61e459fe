// Before a meeting: the addresses, the lobby, and devices that are missing or forbidden.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertState } from "../support/axe.js";
import { others } from "../support/media.js";
import { says } from "../support/sentences.js";
import { startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());

/** @param {import("node:test").TestContext} context @param {{without: string[], flags?: string[]}} options */
async function other(context, options) {
  const started = await startChromium(options);
  const tab = await started.tab();
  context.after(async () => {
    await tab.close();
    await started.close();
  });
  return tab;
}

test("the home page offers three random words and goes to that meeting", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.open("/");
  const first = await ada.page.inputValue("#meeting");
  assert.match(first, /^[a-z]+-[a-z]+-[a-z]+$/);
  await assertState(ada, "home");
  await ada.page.reload();
  assert.notEqual(await ada.page.inputValue("#meeting"), first);
  await ada.page.fill("#meeting", "no/slash");
  await ada.page.keyboard.press("Enter");
  await says(ada, ".problem", "Use letters");
  await ada.page.fill("#meeting", "stand up");
  await ada.page.keyboard.press("Enter");
  await ada.page.waitForURL("**/r/stand-up");
});

test("the lobby shows a mirrored preview, a level, devices, and joins by Enter alone", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("lobby-whole", "Lin");
  await ada.open("/r/lobby-whole?video=640x360@15");
  await until(() => ada.ask(() => (document.querySelector(".preview video")?.videoWidth ?? 0) > 0), { within: 10_000, what: "the preview plays" });
  assert.match(await ada.ask(() => getComputedStyle(/** @type {Element} */ (document.querySelector(".preview video"))).transform), /^matrix\(-1/);
  assert.equal(await ada.page.locator(".bars i").count(), 5);
  await until(async () => Number(await ada.page.getAttribute(".bars", "data-level")) > 0, { within: 5_000, what: "the level moves with the fake beep" });
  for (const id of ["#lobby-camera", "#lobby-microphone", "#lobby-speaker"]) {
    assert.ok((await ada.page.locator(`${id} option`).count()) > 0, `${id} offers something`);
  }
  await ada.page.click("text=Test speaker");
  await says(ada, ".test-speaker", "Playing…");
  await says(ada, ".test-speaker", "Test speaker");
  await assertState(ada, "lobby");
  await ada.page.click('.preview button[aria-label^="Turn camera off"]');
  await says(ada, ".preview-off", "Camera is off");
  await ada.page.click('.preview button[aria-label^="Mute microphone"]');
  assert.equal(await ada.page.getAttribute(".bars", "data-level"), "0");
  await assertState(ada, "lobby-off");
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await ada.state("in");
  await others(lin, ["Ada"]);
  assert.equal(await ada.page.getAttribute('.toolbar button[aria-label^="Unmute"]', "aria-pressed"), "true", "off stays off");
  await ada.open("/r/lobby-whole");
  assert.equal(await ada.page.inputValue("#name"), "Ada", "the name is remembered");
});

test("Join is in sight without scrolling, however low the window", async (context) => {
  const blocked = await other(context, { without: ["use-fake-ui-for-media-stream"], flags: ["--deny-permission-prompts"] });
  await blocked.open("/r/in-sight");
  await says(blocked, ".problems", "Microphone is blocked.");
  const free = await chromium.tab();
  context.after(() => free.close());
  await free.open("/r/in-sight");
  await until(() => free.page.locator("#lobby-speaker option").count(), { within: 10_000, what: "devices are listed" });
  await Promise.all([free, blocked].map((tab) => says(tab, ".there", "No one is here yet")));
  for (const [what, tab] of /** @type {const} */ ([["free", free], ["blocked", blocked]])) {
    for (const [width, height] of [[844, 390], [667, 375], [932, 430], [640, 360], [390, 844], [360, 640], [1_280, 720], [1_920, 1_080]]) {
      await tab.page.setViewportSize({ width: width ?? 0, height: height ?? 0 });
      await tab.ask(() => scrollTo(0, 0));
      const seen = await tab.ask(() => {
        const { left, top, right, bottom } = /** @type {Element} */ (document.querySelector(".join")).getBoundingClientRect();
        const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        return inside && document.elementFromPoint((left + right) / 2, (top + bottom) / 2)?.classList.contains("join");
      });
      assert.ok(seen, `${what}: Join is in sight at ${width}x${height}`);
      await tab.screenshot(`join-${what}-${width}x${height}`);
      // Nothing is under it for good: the last thing before it can be scrolled clear of it.
      const apart = await tab.ask(() => {
        scrollTo(0, document.documentElement.scrollHeight);
        const top = (/** @type {string} */ selector) => document.querySelector(selector)?.getBoundingClientRect() ?? new DOMRect();
        return top(".join-bar").top - top(".pickers").bottom;
      });
      assert.ok(apart >= 0, `${what}: nothing stays under Join at ${width}x${height}, ${apart}`);
    }
  }
});

test("who forbids camera and microphone reads how to allow them, and joins all the same", async (context) => {
  const ada = await other(context, { without: ["use-fake-ui-for-media-stream"], flags: ["--deny-permission-prompts"] });
  await ada.open("/r/denied");
  await says(ada, ".problems", "Camera is blocked. Click the camera icon in the address bar, then Allow.");
  await says(ada, ".problems", "Microphone is blocked.");
  assert.equal(await ada.page.locator(".problems button").count(), 2, "each with Retry");
  await assertState(ada, "lobby-blocked");
  // Allowed now: Retry finds it.
  await ada.page.context().grantPermissions(["camera", "microphone"]);
  await ada.page.click(".problems .problem:has-text('Camera') button");
  await until(() => ada.ask(() => !document.querySelector(".problems")?.textContent?.includes("Camera")), { within: 10_000, what: "the camera is there" });
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await ada.state("in");
});

test("who has no devices reads so and joins all the same", async (context) => {
  const ada = await other(context, { without: ["use-fake-device"] });
  await ada.open("/r/deviceless");
  await says(ada, ".problems", "No microphone found. You can join and listen.");
  await says(ada, ".problems", "No camera found.");
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await ada.state("in");
});

test("a camera that another program uses is said to be", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  // No second program can hold a fake camera; this is what the browser answers then.
  await ada.page.addInitScript(() => {
    const { mediaDevices } = navigator;
    const real = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = (wish) => (wish?.video ? Promise.reject(new DOMException("in use", "NotReadableError")) : real(wish));
  });
  await ada.open("/r/busy");
  await says(ada, ".problems", "Another app is using your camera.");
});

test("the language is the browser's, or the one that was chosen", async (context) => {
  const ada = await chromium.tab(undefined, { locale: "zh-CN" });
  context.after(() => ada.close());
  await ada.open("/");
  await says(ada, "h1", "面对面交流");
  assert.equal(await ada.ask(() => document.documentElement.lang), "zh-CN");
  await ada.ask(() => localStorage.setItem("plenum.language", "en"));
  await ada.page.reload();
  await says(ada, "h1", "Meet face to face");
});

test("both languages say every sentence, with the same gaps", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.open("/");
  const text = await ada.ask(async () => (await fetch("/strings.js")).text());
  const block = (/** @type {string} */ name) => new RegExp(`const ${name} = \\{([\\s\\S]*?)\\n\\};`).exec(text)?.[1] ?? "";
  const phrases = (/** @type {string} */ name) =>
    new Map([...block(name).matchAll(/^ {2}(\w+): "(.*)",$/gm)].map(([, key, words]) => [key, [...new Set((words ?? "").match(/\{\d\}/g) ?? [])].sort().join()]));
  const english = phrases("en");
  assert.ok(english.size > 100, "the sentences were found");
  assert.deepEqual(phrases("zh"), english);
});
