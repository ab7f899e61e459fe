// axe-core in the page: what it finds against WCAG 2.2 AA is a failure, said in a line each.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** @import {Tab} from "./tabs.js" */

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/**
 * @param {Tab} tab
 * @param {string} what the state it is in, for the failure
 * @param {string[]} [without] rules that say nothing here
 */
export async function assertAccessible(tab, what, without = []) {
  await tab.ask(SOURCE);
  const found = await tab.ask(async ({ tags, without }) => {
    const rules = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
    const { violations } = await /** @type {any} */ (window).axe.run(document, { runOnly: { type: "tag", values: tags }, rules, resultTypes: ["violations"] });
    return violations.map((/** @type {any} */ { id, help, nodes }) => `${id}: ${help}: ${nodes.map((/** @type {any} */ { html }) => html.slice(0, 120)).slice(0, 3).join(" | ")}`);
  }, { tags: TAGS, without });
  assert.deepEqual(found, [], `axe finds nothing in "${what}"`);
}

/** @type {[number, number][]} */
export const SIZES = [[390, 844], [844, 390], [1_280, 720], [1_920, 1_080]];

/**
 * A state at all four sizes: a picture of each for people to look at, nothing wider than the
 * window, nothing over the banner, and axe at the narrowest and at a desktop's.
 * @param {Tab} tab
 * @param {string} name
 */
export async function assertState(tab, name) {
  for (const [width, height] of SIZES) {
    await tab.page.setViewportSize({ width, height });
    // Two frames: one to lay out, one for what observes the layout.
    await tab.ask(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(undefined)))));
    // Tiles move to their new places: a picture of the way there says nothing.
    await tab.ask(async () => {
      const ends = document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime !== Infinity);
      await Promise.allSettled(ends.map(({ finished }) => finished));
    });
    await tab.screenshot(`${name}-${width}x${height}`);
    const wide = await tab.ask(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `"${name}" is ${wide} px wider than ${width} px`);
    const covered = await tab.ask(() => {
      const banner = document.querySelector(".banner:not([hidden])");
      if (!banner) return false;
      const { left, top, width, height } = banner.getBoundingClientRect();
      return !banner.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    });
    assert.equal(covered, false, `"${name}": nothing covers the banner at ${width} px`);
    if (width === 390 || width === 1_280) await assertAccessible(tab, `${name} at ${width} px`);
  }
  await tab.page.setViewportSize({ width: 1_280, height: 720 });
}
