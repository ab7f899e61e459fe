// Before joining: see and hear oneself, say one's name, choose devices, see who is there.

import { look } from "../plenum/connection.js";
import { say } from "../strings.js";
import { make } from "./dom.js";
import { Pickers } from "./pickers.js";
import { prefer, preference } from "./preferences.js";
import { Preview } from "./preview.js";

/** @import {Devices} from "./devices.js" */

export { set } from "./preview.js";

/** How often it is looked who is there. */
const LOOK_MS = 10_000;

/** The name given last time. */
export function rememberedName() {
  return preference("name");
}

/** @param {string} name */
export function rememberName(name) {
  prefer("name", name);
}

export class Lobby {
  #preview;
  #pickers;
  #room;
  #there = make("p", { class: "there", role: "status" });
  #url;
  #token;
  #timer = 0;
  #isClosed = false;

  /**
   * @param {HTMLElement} root
   * @param {string} room
   * @param {Devices} devices
   * @param {{url: string, token: string|null, join: (name: string) => void}} options
   *   `url`: of the socket
   */
  constructor(root, room, devices, { url, token, join }) {
    this.#room = room;
    this.#url = url;
    this.#token = token;
    this.#preview = new Preview(devices);
    this.#pickers = new Pickers(devices, "lobby");
    const name = make("input", { id: "name", name: "name", required: true, maxLength: 128, autocomplete: "name", value: rememberedName() });
    const form = make(
      "form",
      {
        class: "lobby-form",
        onsubmit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          const given = name.value.trim();
          if (given) join(given);
          else name.focus();
        },
      },
      make("div", { class: "lobby-title" }, make("h1", {}, say("lobbyTitle")), make("p", { class: "dim room-name" }, room)),
      make("div", { class: "name-row" }, make("label", { for: "name" }, say("yourName")), name),
      this.#pickers.element,
      make("div", { class: "join-bar" }, this.#there, make("button", { class: "primary join", type: "submit" }, say("join"))),
    );
    root.replaceChildren(make("main", { class: "centre" }, make("div", { class: "lobby" }, this.#preview.element, form)));
    name.focus();
    void this.#look();
  }

  /** Who is there is said again and again; a server that does not answer leaves it unsaid. */
  async #look() {
    const lobby = await look({ url: this.#url, room: this.#room, token: this.#token }).catch(() => null);
    if (this.#isClosed) return;
    const text = lobby ? whoIsThere(lobby) : "";
    // Said aloud only where it is news.
    if (this.#there.textContent !== text) this.#there.textContent = text;
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }

  /** Stops following the devices; the page shows something else now. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#pickers.close();
    this.#preview.close();
  }
}

/**
 * "Ada, Lin and 2 others are here".
 * @param {{participants: string[], count: number, room: {locked: boolean, waiting_room: boolean}}} lobby
 */
export function whoIsThere({ participants, count, room }) {
  const [first = "", second = ""] = participants;
  const others = count - 2;
  /** @type {string} */
  let text;
  if (count === 0) text = say("noOneHere");
  else if (count === 1) text = say("oneHere", first);
  else if (count === 2) text = say("twoHere", first, second);
  else if (count === 3) text = say("threeHere", first, second);
  else text = say("manyHere", first, second, others);
  if (room.locked) return `${text} · ${say("endLocked")}`;
  return room.waiting_room ? `${text} · ${say("hostLetsIn")}` : text;
}
