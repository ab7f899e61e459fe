// A menu under a button: arrow keys move in it, Esc and a press elsewhere close it, and the focus
// goes back to where it came from.

import { icon, make } from "./dom.js";

/**
 * @typedef {{
 *   label: string, icon: import("./dom.js").Icon, run: () => void, isDanger?: boolean,
 *   isChecked?: boolean
 * }} MenuItem `isChecked`: for what can be on or off
 */

/** What is open now: one at a time. @type {(() => void)|null} */
let closeOpen = null;

/**
 * Opens a menu at a button; pressed again, the button closes it.
 * @param {HTMLElement} button
 * @param {string} label
 * @param {MenuItem[]} items
 */
export function openMenu(button, label, items) {
  const wasOpen = button.getAttribute("aria-expanded") === "true";
  closeOpen?.();
  if (wasOpen) return;
  const entries = items.map((item) => entry(item, close));
  const menu = make("div", { class: "menu", role: "menu", "aria-label": label }, ...entries);
  menu.addEventListener("keydown", (event) => {
    const at = entries.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) entries[(at + step + entries.length) % entries.length]?.focus();
    else if (event.key === "Home") entries[0]?.focus();
    else if (event.key === "End") entries.at(-1)?.focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") return close(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const elsewhere = (/** @type {Event} */ event) => {
    const target = /** @type {Node} */ (event.target);
    if (!menu.contains(target) && !button.contains(target)) close(false);
  };
  /** @param {boolean} [isDone] the focus goes back to the button */
  function close(isDone = false) {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", elsewhere, true);
    closeOpen = null;
    if (isDone && button.isConnected) button.focus();
  }
  closeOpen = () => close(false);
  button.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", elsewhere, true);
  document.body.append(menu);
  place(menu, button);
  entries[0]?.focus();
}

/**
 * @param {MenuItem} item
 * @param {(isDone: boolean) => void} close
 */
function entry({ label, icon: name, run, isDanger = false, isChecked }, close) {
  const role = isChecked === undefined ? "menuitem" : "menuitemcheckbox";
  const press = () => {
    close(true);
    run();
  };
  const button = make("button", { type: "button", class: isDanger ? "menu-item danger-text" : "menu-item", role, tabIndex: -1, onclick: press }, icon(name), label);
  if (isChecked !== undefined) button.setAttribute("aria-checked", String(isChecked));
  return button;
}

/**
 * Beside the button, inside the window.
 * @param {HTMLElement} menu
 * @param {HTMLElement} button
 */
function place(menu, button) {
  const at = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = at.bottom + 8 + height <= window.innerHeight;
  const left = Math.min(Math.max(8, at.right - width), Math.max(8, window.innerWidth - width - 8));
  const top = below ? at.bottom + 8 : Math.max(8, at.top - 8 - height);
  menu.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}
