// The chat panel: text over `data` messages under the topic "chat".

import { language, say } from "../strings.js";
import { icon, make } from "./dom.js";

/** @import {Connection} from "../plenum/connection.js" */

export const TOPIC = "chat";
const LENGTH_MAX = 4_000;
/** Messages of one person within this time stand under one name. */
const GROUP_MS = 180_000;
/** What the panel keeps; the oldest leave. */
const MESSAGES_MAX = 500;
/** Only these become links, and only whole words. */
const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

export class Chat {
  element;
  /** @type {() => void} */
  onunread = () => {};
  unread = 0;
  #connection;
  #list = make("ol", { class: "messages", "aria-live": "polite" });
  #empty = make("p", { class: "dim panel-empty" }, say("noMessages"));
  #field = make("textarea", { rows: 1, maxLength: LENGTH_MAX, placeholder: say("message"), "aria-label": say("message") });
  /** @type {{from: string, at: number}|null} */
  #last = null;

  /**
   * @param {Connection} connection
   * @param {() => void} close
   */
  constructor(connection, close) {
    this.#connection = connection;
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => this.#grow());
    const form = make(
      "form",
      {
        class: "chat-form",
        onsubmit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          this.#submit();
        },
      },
      make("p", { class: "dim to" }, say("everyone")),
      make("div", { class: "chat-row" }, this.#field, make("button", { class: "icon-button accent", type: "submit", "aria-label": say("send"), title: say("send") }, icon("send"))),
    );
    this.element = make(
      "aside",
      { class: "panel", hidden: true, "aria-label": say("chat") },
      make(
        "header",
        {},
        make("h2", {}, say("chat")),
        make("button", { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: close }, icon("close")),
      ),
      this.#empty,
      this.#list,
      form,
    );
  }

  /** @param {boolean} open */
  show(open) {
    this.element.hidden = !open;
    if (!open) return;
    this.unread = 0;
    this.onunread();
    this.#field.focus();
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /**
   * Takes a message of somebody else.
   * @param {string} from a participant's id
   * @param {unknown} payload
   * @returns {string|null} its text, if it is one
   */
  take(from, payload) {
    const text = /** @type {any} */ (payload)?.text;
    if (typeof text !== "string" || text === "") return null;
    const name = this.#connection.roster.participants.get(from)?.displayName ?? from;
    const cut = text.slice(0, LENGTH_MAX);
    this.#add(from, name, cut);
    if (this.element.hidden) {
      this.unread += 1;
      this.onunread();
    }
    return cut;
  }

  #submit() {
    const text = this.#field.value.trim();
    if (text === "") return;
    this.#field.value = "";
    this.#grow();
    const item = this.#add("", say("me"), text);
    this.#send(item, text);
  }

  /**
   * @param {HTMLElement} item
   * @param {string} text
   */
  #send(item, text) {
    item.querySelector(".unsent")?.remove();
    this.#connection.sendData(TOPIC, { text }).catch(() => {
      const retry = make("button", { type: "button", class: "quiet", onclick: () => this.#send(item, text) }, say("retry"));
      item.append(make("p", { class: "unsent" }, say("notSent"), " ", retry));
    });
  }

  /**
   * @param {string} from empty for oneself
   * @param {string} name
   * @param {string} text
   */
  #add(from, name, text) {
    const now = Date.now();
    const together = this.#last !== null && this.#last.from === from && now - this.#last.at < GROUP_MS;
    this.#last = { from, at: now };
    const time = new Date(now).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    const item = make(
      "li",
      { class: from === "" ? "own" : "" },
      together ? null : make("p", { class: "who" }, make("b", {}, name), " ", make("time", {}, time)),
      make("p", { class: "text" }, ...linked(text)),
    );
    this.#empty.hidden = true;
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 48;
    this.#list.append(item);
    if (this.#list.childElementCount > MESSAGES_MAX) this.#list.firstElementChild?.remove();
    if (atEnd || from === "") this.#list.scrollTop = this.#list.scrollHeight;
    return item;
  }

  #grow() {
    this.#field.rows = Math.min(6, this.#field.value.split("\n").length);
  }
}

/**
 * Text with its http(s) addresses as links.
 * @param {string} text
 * @returns {(Node|string)[]}
 */
function linked(text) {
  /** @type {(Node|string)[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(text.slice(end, match.index));
    parts.push(make("a", { href: match[0], rel: "noopener noreferrer", target: "_blank" }, match[0]));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return parts;
}
