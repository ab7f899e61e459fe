// What comes and goes above the meeting: the banner while we are being brought back, and toasts.

import { say } from "../strings.js";
import { make } from "./dom.js";

/** @import {Connection} from "../plenum/connection.js" */

/** Nothing is said of an interruption shorter than this. */
const BANNER_MS = 2_000;
const STILL_MS = 10_000;
const LOST_MS = 60_000;
const BACK_MS = 3_000;
const TOAST_MS = 5_000;
/** Something to decide upon stays longer. */
const QUESTION_MS = 15_000;
/** More would hide the meeting. */
const TOASTS_MAX = 3;

export class Banner {
  element = make("div", { class: "banner", role: "alert", "aria-live": "assertive", hidden: true });
  #connection;
  /** When media or socket were lost; null while all is well.
   * @type {number|null} */
  #since = null;
  #timer = 0;
  /** There is something to come back to. */
  #wasIn = false;
  /** What stands there, so that it is said once. */
  #said = "";
  #off;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    this.#off = connection.on("state", () => this.#changed());
  }

  #changed() {
    const { state } = this.#connection;
    const interrupted = state === "resuming" || state === "rejoining" || state === "joining";
    clearTimeout(this.#timer);
    this.#wasIn ||= state === "resuming" || state === "rejoining";
    if (interrupted) {
      this.#since ??= performance.now();
      this.#draw();
    } else if (this.#since !== null && state === "in") {
      const back = !this.element.hidden && this.#wasIn;
      this.#since = null;
      this.#say(back ? say("back") : "", "ok");
      this.#timer = setTimeout(() => this.#say("", ""), BACK_MS);
    } else {
      this.#since = null;
      this.#say("", "");
    }
  }

  /** Says what fits the time that has passed, and comes back when the next sentence is due. */
  #draw() {
    if (this.#since === null) return;
    const passed = performance.now() - this.#since;
    const { cause } = this.#connection;
    const restarting = cause === "NODE_DRAINED" || cause === "NODE_DRAINING";
    const next = [BANNER_MS, STILL_MS, LOST_MS].find((limit) => limit > passed);
    if (passed >= LOST_MS) this.#say(say("lost"), "lost");
    else if (restarting) this.#say(say("serverRestarting"), "");
    else if (passed >= STILL_MS) this.#say(say("stillTrying"), "");
    else if (passed >= BANNER_MS) this.#say(say(this.#wasIn ? "reconnecting" : "joining"), "");
    if (next !== undefined) this.#timer = setTimeout(() => this.#draw(), next - passed + 10);
  }

  /**
   * @param {string} text
   * @param {""|"ok"|"lost"} look
   */
  #say(text, look) {
    const said = `${look} ${text}`;
    if (said === this.#said) return;
    this.#said = said;
    this.element.hidden = text === "";
    this.element.className = `banner ${look}`;
    this.element.replaceChildren(make("span", {}, text));
    if (look !== "lost") return;
    const retry = () => this.#connection.retry();
    this.element.append(make("button", { type: "button", class: "primary", onclick: retry }, say("rejoin")));
  }

  /** Says nothing any more. */
  close() {
    clearTimeout(this.#timer);
    this.#off();
  }
}

/** @typedef {{label: string, run: () => void}} ToastAction */

export class Toasts {
  element = make("div", { class: "toasts", role: "status", "aria-live": "polite" });
  /** @type {string[]} */
  #joined = [];
  /** @type {HTMLElement|null} */
  #joinedToast = null;

  /**
   * Shows a sentence for five seconds; with something to press, for fifteen. The same sentence
   * is not shown twice at once.
   * @param {string} text
   * @param {ToastAction} [action]
   * @param {{isBrief?: boolean, about?: string}} [options] `isBrief`: five seconds all the same;
   *   `about`: what `drop` takes away
   */
  show(text, action, { isBrief = action === undefined, about = "" } = {}) {
    for (const shown of this.element.children) {
      if (/** @type {HTMLElement} */ (shown).dataset.text === text) shown.remove();
    }
    const toast = make("div", { class: "toast", "data-text": text, "data-about": about }, make("span", { class: "toast-text" }, text));
    const drop = () => {
      toast.remove();
      if (this.#joinedToast !== toast) return;
      this.#joinedToast = null;
      this.#joined = [];
    };
    if (action) {
      const run = () => {
        drop();
        action.run();
      };
      toast.append(make("button", { type: "button", class: "quiet", onclick: run }, action.label));
    }
    this.element.append(toast);
    while (this.element.childElementCount > TOASTS_MAX) this.element.firstElementChild?.remove();
    setTimeout(drop, isBrief ? TOAST_MS : QUESTION_MS);
    return toast;
  }

  /**
   * Takes away what has been seen to by other means.
   * @param {string} about as `show` was told
   */
  drop(about) {
    for (const shown of [...this.element.children]) {
      if (/** @type {HTMLElement} */ (shown).dataset.about === about) shown.remove();
    }
  }

  /**
   * Joins within five seconds make one toast.
   * @param {string} name
   */
  joined(name) {
    this.#joined.push(name);
    const [first = "", second = ""] = this.#joined;
    const count = this.#joined.length;
    const text =
      count === 1 ? say("joinedOne", first) : count === 2 ? say("joinedTwo", first, second) : say("joinedMany", first, count - 1);
    const words = this.#joinedToast?.isConnected ? this.#joinedToast.querySelector(".toast-text") : null;
    if (words) words.textContent = text;
    else this.#joinedToast = this.show(text);
  }
}
