// For who is alone: how to bring others in.

import { say } from "../strings.js";
import { copyText, icon, make } from "./dom.js";

/** @import {Box} from "./grid.js" */

export class EmptyCard {
  element;
  #link = make("output", { class: "link" }, `${location.origin}${location.pathname}`);

  /** @param {() => Promise<string>} invite the link */
  constructor(invite) {
    const label = make("span", {}, say("copy"));
    const words = { copy: say("copy"), copied: say("copied") };
    const copy = async () => {
      const link = await invite();
      this.#link.textContent = link;
      await copyText(label, link, words);
    };
    this.element = make(
      "div",
      { class: "empty", hidden: true },
      make("h2", {}, say("onlyOne")),
      make("p", { class: "dim" }, say("shareLink")),
      this.#link,
      make("button", { type: "button", class: "primary", onclick: () => void copy() }, icon("copy"), label),
    );
  }

  /** @param {Box|null} box none: somebody is there */
  place(box) {
    this.element.hidden = box === null;
    if (!box) return;
    const { style } = this.element;
    style.transform = `translate(${box.x}px, ${box.y}px)`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
  }
}
