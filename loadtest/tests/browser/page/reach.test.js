// For everybody: by the keyboard alone, at 200 % zoom and 320 px, in forced colours, without
// motion, and within 100 kB.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { parse } from "acorn";
import { assertAccessible } from "../support/axe.js";
import { others } from "../support/media.js";
import { says } from "../support/sentences.js";
import { startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());

/**
 * Presses Tab until the focus stands on something of that name.
 * @param {import("../support/tabs.js").Tab} tab
 * @param {string} name start of its label or text
 */
async function tabTo(tab, name) {
  /** @type {string[]} */
  const seen = [];
  for (let presses = 0; presses < 60; presses += 1) {
    await tab.page.keyboard.press("Tab");
    const now = await tab.ask(() => {
      const at = /** @type {HTMLElement} */ (document.activeElement);
      const labelled = /** @type {any} */ (at).labels?.[0]?.textContent;
      const { outlineStyle, outlineWidth } = getComputedStyle(at);
      return { name: at.getAttribute("aria-label") ?? labelled ?? at.textContent?.trim() ?? "", outline: outlineStyle === "none" ? "" : outlineWidth };
    });
    seen.push(now.name.slice(0, 30));
    if (!now.name.startsWith(name)) continue;
    assert.notEqual(now.outline, "", `the focus is seen on "${name}"`);
    return;
  }
  assert.fail(`"${name}" is not reached by Tab: ${seen.join(", ")}`);
}

test("from the home page into a meeting, through its panels and out again, by the keyboard alone", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.open("/");
  await ada.page.keyboard.press("Control+a");
  await ada.page.keyboard.type("by-keyboard");
  await ada.page.keyboard.press("Enter");
  await ada.page.waitForURL("**/r/by-keyboard");
  await ada.page.waitForSelector("#name:focus");
  await ada.page.keyboard.type("Ada");
  await tabTo(ada, "Camera");
  await tabTo(ada, "Test speaker");
  await tabTo(ada, "Join");
  await ada.page.keyboard.press("Enter");
  await ada.state("in");
  await lin.join("by-keyboard", "Lin", { camera: "0" });
  await others(ada, ["Lin"]);
  await tabTo(ada, "Mute microphone");
  await ada.page.keyboard.press("Space");
  await until(() => ada.ask(() => document.activeElement?.getAttribute("aria-label")?.startsWith("Unmute")), { within: 5_000, what: "the button keeps the focus and says what it does now" });
  await tabTo(ada, "Chat");
  await ada.page.keyboard.press("Enter");
  await ada.page.waitForSelector(".chat textarea:focus");
  await ada.page.keyboard.type("hello");
  await ada.page.keyboard.press("Enter");
  await says(ada, ".messages", "hello");
  await ada.page.keyboard.press("Escape");
  assert.equal(await ada.ask(() => document.activeElement?.getAttribute("data-panel")), "chat", "the focus is back where it came from");
  await tabTo(ada, "People");
  await ada.page.keyboard.press("Enter");
  await ada.page.waitForSelector(".people-search:focus");
  await ada.page.keyboard.press("Escape");
  await tabTo(ada, "Leave");
  await ada.page.keyboard.press("Enter");
  await ada.state("left");
});

test("toggles say what a press does and whether they are pressed; regions have names", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("names", "Ada", { camera: "0" });
  const toggles = await ada.ask(() =>
    [...document.querySelectorAll(".toolbar button")].filter((each) => /** @type {HTMLElement} */ (each).offsetParent).map((each) => [each.getAttribute("aria-label"), each.getAttribute("aria-pressed")]),
  );
  assert.ok(toggles.some(([name, pressed]) => name === "Mute microphone (M)" && pressed === "false"), JSON.stringify(toggles));
  assert.ok(toggles.every(([name]) => name), "each has a name");
  const landmarks = await ada.ask(() => ["main", "nav[aria-label]", "[aria-live=polite]", "[aria-live=assertive]"].filter((selector) => !document.querySelector(selector)));
  assert.deepEqual(landmarks, []);
});

for (const [what, options] of /** @type {const} */ ([
  ["at 320 px", { viewport: { width: 320, height: 640 } }],
  ["at 200 % zoom", { viewport: { width: 640, height: 360 }, deviceScaleFactor: 2 }],
  ["in forced colours", { viewport: { width: 1_280, height: 720 }, forcedColors: "active" }],
])) {
  test(`${what} nothing is cut off or lost`, async (context) => {
    const ada = await chromium.tab(options.viewport, options);
    context.after(() => ada.close());
    /** @param {string} state */
    const look = async (state) => {
      await ada.screenshot(`${state} ${what}`.replace(/[^a-z0-9]+/g, "-"));
      const wide = await ada.ask(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `the ${state} is ${wide} px too wide`);
      // Forced colours are the user's own, and axe does not know them.
      await assertAccessible(ada, `${state} ${what}`, "forcedColors" in options ? ["color-contrast"] : []);
    };
    await ada.open("/");
    await look("home");
    await ada.open("/r/reach?video=320x240@15");
    await until(() => ada.page.locator("#lobby-camera option").count(), { within: 10_000, what: "devices are listed" });
    await look("lobby");
    // Everything can be scrolled to.
    await ada.page.locator("button.join").scrollIntoViewIfNeeded();
    await ada.page.fill("#name", "Ada");
    await ada.page.click("button.join");
    await ada.state("in");
    await look("meeting");
    const cut = await ada.ask(() =>
      [...document.querySelectorAll(".toolbar button")].filter((each) => {
        const { left, right, bottom, width } = each.getBoundingClientRect();
        return width > 0 && (left < 0 || right > innerWidth + 1 || bottom > innerHeight + 1);
      }).map((each) => each.getAttribute("aria-label")),
    );
    assert.deepEqual(cut, [], "no button of the bar is cut off");
    await ada.ask(() => /** @type {HTMLElement|null} */ (document.activeElement)?.blur());
    await ada.page.keyboard.press("c");
    await ada.page.waitForSelector(".chat:not([hidden])");
    await look("chat");
    await ada.page.keyboard.press("Escape");
    await ada.page.keyboard.press("?");
    await look("keys");
  });
}

test("who wants less motion gets none", async (context) => {
  const ada = await chromium.tab(undefined, { reducedMotion: "reduce" });
  context.after(() => ada.close());
  await ada.join("still", "Ada", { camera: "0" });
  const moving = await ada.ask(() =>
    [...document.querySelectorAll("*")].filter((each) => {
      const { transitionDuration, animationName, transitionProperty } = getComputedStyle(each);
      return animationName !== "none" || (transitionProperty !== "none" && transitionDuration.split(",").some((each) => parseFloat(each) > 0));
    }).length,
  );
  assert.equal(moving, 0);
});

/** What stands in `web/` for browsers to load. */
const FILES = fileURLToPath(new URL("../../../../web/", import.meta.url));

/** A program without where it stands: comments and empty lines make no difference. @param {string} text */
function program(text) {
  const whole = parse(text, { ecmaVersion: "latest", sourceType: "module" });
  return JSON.stringify(whole, (key, value) => (key === "start" || key === "end" ? undefined : typeof value === "bigint" ? String(value) : value));
}

test("a script that is sent does what its source says, line by line", async () => {
  const scripts = readdirSync(FILES, { recursive: true }).map(String).filter((name) => name.endsWith(".js") && !name.includes("node_modules"));
  assert.ok(scripts.length > 20, `${scripts.length} scripts`);
  for (const name of scripts) {
    const source = readFileSync(FILES + name, "utf8");
    const sent = await (await fetch(`${process.env.PLENUM_URL}/${name}`)).text();
    assert.equal(program(sent), program(source), name);
    assert.equal(sent.trimEnd().split("\n").length, source.trimEnd().split("\n").length, `${name}: an error names the source's line`);
  }
});

test("the whole page is at most 100 kB of gzip, and asks nobody else for anything", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  /** @type {string[]} */
  const asked = [];
  ada.page.on("request", (/** @type {any} */ request) => asked.push(request.url()));
  await ada.join("origin", "Ada", { camera: "0" });
  const foreign = asked.filter((url) => !url.startsWith(`${process.env.PLENUM_URL}/`) && !url.startsWith("data:") && !url.startsWith("blob:"));
  assert.deepEqual(foreign, []);
  // Types alone: no browser asks for it.
  assert.deepEqual(asked.filter((url) => url.endsWith("/plenum/messages.js")), []);
  // All that some page may ask for, and not only what this one has asked for.
  const files = readdirSync(FILES, { recursive: true }).map(String)
    .filter((name) => !name.includes("node_modules") && /\.(js|css|html|svg)$/.test(name) && name !== "plenum/messages.js");
  let bytes = 0;
  for (const name of files) {
    const { headers } = await fetch(`${process.env.PLENUM_URL}/${name}`);
    assert.equal(headers.get("content-encoding"), "gzip", name);
    bytes += Number(headers.get("content-length"));
  }
  context.diagnostic(`${files.length} files, ${bytes} bytes`);
  assert.ok(bytes > 10_000 && bytes <= 100_000, `${bytes} bytes`);
});
