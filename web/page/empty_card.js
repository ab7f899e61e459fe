// For who is alone: how to bring others in.

import { say } from "../strings.js";
import { copyText, icon, make } from "./dom.js";
import { qr } from "./qr.js";

/** @import {Box} from "./grid.js" */

export class EmptyCard {
  element;
  #link = make("output", { class: "link" });
  #code = make("canvas", { class: "qr", role: "img", "aria-label": say("qrCode") });

  #invite;

  /** @param {() => Promise<string>} invite the link */
  constructor(invite) {
    this.#invite = invite;
    const label = make("span", {}, say("copy"));
    const words = { copy: say("copy"), copied: say("copied") };
    const copy = async () => {
      const link = await invite();
      this.#show(link);
      await copyText(label, link, words);
    };
    this.#show(`${location.origin}${location.pathname}`);
    this.element = make(
      "div",
      { class: "empty", hidden: true },
      make("h2", {}, say("onlyOne")),
      make("p", { class: "dim" }, say("shareLink")),
      this.#code,
      this.#link,
      make("button", { type: "button", class: "primary", onclick: () => void copy() }, icon("copy"), label),
    );
  }

  /**
   * The link, in letters and as a code that a phone's camera reads.
   * @param {string} link
   */
  #show(link) {
    this.#link.textContent = link;
    const rows = qr(link);
    this.#code.hidden = rows.length === 0;
    // Four light modules all around belong to the code (ISO/IEC 18004 §6.3.8).
    const side = rows.length + 8;
    this.#code.width = side;
    this.#code.height = side;
    const context = this.#code.getContext("2d");
    if (!context) return;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    context.fillStyle = "#000";
    rows.forEach((row, y) => row.forEach((isDark, x) => isDark && context.fillRect(x + 4, y + 4, 1, 1)));
  }

  /** @param {Box|null} box none: somebody is there */
  place(box) {
    const isNew = this.element.hidden && box !== null;
    this.element.hidden = box === null;
    if (!box) return;
    if (isNew) void this.#invite().then((link) => this.#show(link));
    this.element.classList.toggle("low", box.height < 360);
    const { style } = this.element;
    style.transform = `translate(${box.x}px, ${box.y}px)`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
  }
}
