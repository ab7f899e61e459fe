// Asked to be let in, and not let in yet: the picture stays, and the title tells who looks away.

import { say } from "../strings.js";
import { make } from "./dom.js";
import { Preview } from "./preview.js";

/** @import {Devices} from "./devices.js" */

export class Waiting {
  #preview;

  /**
   * @param {HTMLElement} root
   * @param {string} room
   * @param {Devices} devices
   * @param {() => void} leave
   */
  constructor(root, room, devices, leave) {
    this.#preview = new Preview(devices);
    const words = make(
      "div",
      { class: "lobby-form" },
      make("div", { role: "status" }, make("h1", {}, say("waitingTitle"))),
      make("p", { class: "dim room-name" }, room),
      make("button", { type: "button", onclick: leave }, say("leave")),
    );
    root.replaceChildren(make("main", { class: "centre" }, make("div", { class: "lobby waiting" }, this.#preview.element, words)));
  }

  /** Follows the devices no more. */
  close() {
    this.#preview.close();
  }
}

/**
 * Says in the tab's title that one is in, until one looks.
 * @param {string} title as it is otherwise
 */
export function announceAdmission(title) {
  const seen = () => {
    if (document.hidden) return;
    document.title = title;
    document.removeEventListener("visibilitychange", seen);
  };
  document.title = `${say("admitted")} · ${title}`;
  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) setTimeout(seen, 5_000);
}
