// Waiting for what the page says.

import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */

/**
 * Waits until an element's visible text has these words.
 * @param {Tab} tab
 * @param {string} selector
 * @param {string} words
 * @param {number} [within]
 */
export function says(tab, selector, words, within = 10_000) {
  const look = () => tab.ask(
    (selector) => [...document.querySelectorAll(selector)].map((each) => /** @type {HTMLElement} */ (each).innerText).join("\n"),
    selector,
  );
  return until(async () => (await look()).includes(words), { within, what: `${selector} says "${words}"`, last: look });
}

/**
 * Presses a button of the toolbar.
 * @param {Tab} tab
 * @param {string} label start of its name
 */
export const press = (tab, label) => tab.page.click(`.toolbar button[aria-label^="${label}"]`);

/**
 * Presses a key while nothing has the focus, as when one looks at the stage.
 * @param {Tab} tab
 * @param {string} key
 */
export async function key(tab, key) {
  await tab.ask(() => /** @type {HTMLElement|null} */ (document.activeElement)?.blur());
  await tab.page.keyboard.press(key);
}
