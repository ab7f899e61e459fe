// ‹ dots › under a stage with more tiles than a page holds.

import { say } from "../strings.js";
import { icon, make } from "./dom.js";

export class PageTurner {
  #dots = make("span", { class: "page-dots", "aria-hidden": "true" });
  #words = make("span", { class: "visually-hidden", role: "status" });
  #back;
  #on;
  element;

  /** @param {(step: -1|1) => void} turn */
  constructor(turn) {
    const button = (/** @type {-1|1} */ step, /** @type {"back"|"forward"} */ name, /** @type {string} */ label) =>
      make("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: () => turn(step) }, icon(name));
    this.#back = button(-1, "back", say("pageBefore"));
    this.#on = button(1, "forward", say("pageAfter"));
    this.element = make("div", { class: "page-turner", hidden: true }, this.#back, this.#dots, this.#words, this.#on);
  }

  /**
   * @param {number} page
   * @param {number} pages
   */
  show(page, pages) {
    this.element.hidden = pages < 2;
    this.#back.disabled = page === 0;
    this.#on.disabled = page === pages - 1;
    this.#words.textContent = say("pageOf", page + 1, pages);
    const dots = Array.from({ length: pages }, (_, index) => make("i", { class: index === page ? "on" : "" }));
    this.#dots.replaceChildren(...dots);
  }
}
