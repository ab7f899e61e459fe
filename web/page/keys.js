// Keys of the meeting. They can be switched off, since a voice that dictates presses letters too
// (WCAG 2.1.4), and none is taken from who is typing.

import { say } from "../strings.js";
import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { preference } from "./preferences.js";

/** @import {Phrase} from "../strings.js" */

/**
 * What keys do. `talk` is told when the Space bar goes down and up; `pin` gets 0 to 9, `page` -1
 * or 1; `escape` answers whether there was something to close.
 * @typedef {{
 *   microphone: () => void, camera: () => void, talk: (isDown: boolean) => void, share: () => void,
 *   hand: () => void, chat: () => void, people: () => void, view: () => void,
 *   statistics: () => void, fullScreen: () => void, pin: (number: number) => void,
 *   page: (step: -1|1) => void, escape: () => boolean
 * }} KeyActions
 */

/** @type {[string[], Phrase][]} */
const LIST = [
  [["M", "Ctrl/⌘ + D"], "keyMicrophone"],
  [["V", "Ctrl/⌘ + E"], "keyCamera"],
  [["Space"], "keyTalk"],
  [["D"], "keyShare"],
  [["R"], "keyHand"],
  [["C"], "keyChat"],
  [["P"], "keyPeople"],
  [["W"], "keyView"],
  [["A"], "keyStatistics"],
  [["F"], "keyFullScreen"],
  [["0 – 9"], "keyPin"],
  [["PageUp", "PageDown"], "keyPages"],
  [["Esc"], "keyClose"],
  [["?"], "keyList"],
];

/** Elements that have a use for letters of their own. */
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
/** Elements that the Space bar presses. */
const PRESSABLE = "button, a, summary, input, [role=button], [role=menuitem], [role=tab]";

export class Keys {
  #actions;
  #isTalking = false;
  #down = (/** @type {KeyboardEvent} */ event) => this.#pressed(event);
  #up = (/** @type {KeyboardEvent} */ event) => {
    if (event.code === "Space") this.#talk(false);
  };
  // A key that is let go in another window never comes up here.
  #blur = () => this.#talk(false);

  /** @param {KeyActions} actions */
  constructor(actions) {
    this.#actions = actions;
    document.addEventListener("keydown", this.#down);
    document.addEventListener("keyup", this.#up);
    window.addEventListener("blur", this.#blur);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const actions = this.#actions;
    if (event.key === "Escape" && !event.isComposing) {
      if (actions.escape()) event.preventDefault();
      return;
    }
    if (preference("keys") === "off" || event.isComposing) return;
    const key = event.key.toLowerCase();
    const target = /** @type {HTMLElement} */ (event.target);
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && (key === "d" || key === "e")) {
      event.preventDefault();
      if (!event.repeat) (key === "d" ? actions.microphone : actions.camera)();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.(TYPING)) return;
    if (event.code === "Space") {
      if (target.closest?.(PRESSABLE)) return;
      event.preventDefault();
      if (!event.repeat) this.#talk(true);
      return;
    }
    if (event.repeat || !this.#act(key)) return;
    event.preventDefault();
  }

  /** @param {string} key */
  #act(key) {
    const actions = this.#actions;
    switch (key) {
      case "m": actions.microphone(); return true;
      case "v": actions.camera(); return true;
      case "d": actions.share(); return true;
      case "r": actions.hand(); return true;
      case "c": actions.chat(); return true;
      case "p": actions.people(); return true;
      case "w": actions.view(); return true;
      case "a": actions.statistics(); return true;
      case "f": actions.fullScreen(); return true;
      case "pageup": actions.page(-1); return true;
      case "pagedown": actions.page(1); return true;
      case "?": showKeys(); return true;
    }
    if (!/^[0-9]$/.test(key)) return false;
    actions.pin(Number(key));
    return true;
  }

  /** @param {boolean} isDown */
  #talk(isDown) {
    if (isDown === this.#isTalking) return;
    this.#isTalking = isDown;
    this.#actions.talk(isDown);
  }

  /** Listens no more. */
  close() {
    this.#talk(false);
    document.removeEventListener("keydown", this.#down);
    document.removeEventListener("keyup", this.#up);
    window.removeEventListener("blur", this.#blur);
  }
}

/** Lists all keys. */
export function showKeys() {
  const rows = LIST.map(([keys, phrase]) =>
    make("div", {}, make("dt", {}, ...keys.flatMap((key, index) => [index > 0 ? " " : "", make("kbd", {}, key)])), make("dd", {}, say(phrase))),
  );
  openDialog(say("keys"), [make("dl", { class: "keys" }, ...rows), make("p", { class: "dim" }, say("keysHint"))]);
}
