// The chat panel: text over `data` messages under the topic "chat". What goes to everybody is
// kept by the server for those who come later; what goes to one person is not.

import { language, say } from "../strings.js";
import { icon, make } from "./dom.js";
import { Seen } from "./seen.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {DataMessage, HistoryMessage} from "../plenum/messages.js" */

export const TOPIC = "chat";
export const LENGTH_MAX = 4_000;
/** From here on it is said how many characters are left. */
const LENGTH_TOLD = 3_600;
/** Messages of one person within this time stand under one name. */
const GROUP_MS = 180_000;
/** What the panel keeps; the oldest leave. */
const MESSAGES_MAX = 500;
/** Without an answer by then a message counts as not sent. */
const ANSWER_MS_MAX = 5_000;
/** Only these become links, and only whole words. */
const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

/** Stands for an application's backend: no participant's id. */
const BACKEND = "*";

/**
 * `from`: a participant's id, empty for oneself, `*` for the backend; `to`: whom a private one is for, by name.
 * @typedef {{key: string, from: string, name: string, text: string, at: number, to: string}} ChatMessage
 */

export class Chat {
  element;
  /** @type {() => void} */
  onunread = () => {};
  unread = 0;
  #connection;
  #list = make("ol", { class: "messages", "aria-live": "polite", tabIndex: 0, "aria-label": say("chat") });
  #empty = make("p", { class: "dim panel-empty" }, say("noMessages"));
  #field = make("textarea", { rows: 1, maxLength: LENGTH_MAX, placeholder: say("message"), "aria-label": say("message") });
  #to = make("select", { id: "chat-to" });
  #denied = make("p", { class: "dim length", role: "status" });
  #length = make("p", { class: "dim length", role: "status" });
  /** @type {ChatMessage|null} */
  #last = null;
  /** Keys of what is shown: history may bring it again.
   * @type {Set<string>} */
  #shown = new Set();
  #seen;
  /** When the newest message came. */
  #newest = 0;
  /** @type {(() => void)[]} */
  #off = [];

  /**
   * @param {Connection} connection
   * @param {string} room
   * @param {() => void} close
   */
  constructor(connection, room, close) {
    this.#connection = connection;
    this.#seen = new Seen(room);
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => this.#typed());
    this.element = make(
      "aside",
      { class: "panel chat", hidden: true, "aria-label": say("chat") },
      make(
        "header",
        {},
        make("h2", {}, say("chat")),
        make("button", { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: close }, icon("close")),
      ),
      this.#empty,
      this.#list,
      this.#form(),
    );
    this.#off.push(
      connection.on("history", (messages) => this.#takeHistory(messages)),
      connection.on("roster", () => this.#drawTo()),
      connection.on("permissions", ({ send_data: may }) => (this.#denied.textContent = may ? "" : say("writingDenied"))),
    );
    this.#drawTo();
  }

  #form() {
    return make(
      "form",
      {
        class: "chat-form",
        onsubmit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          this.#submit();
        },
      },
      make("div", { class: "chat-to" }, make("label", { for: "chat-to" }, say("to")), this.#to),
      make(
        "div",
        { class: "chat-row" },
        this.#field,
        make("button", { class: "icon-button accent", type: "submit", "aria-label": say("send"), title: say("send") }, icon("send")),
      ),
      this.#denied,
      this.#length,
    );
  }

  /** Everybody, or one of those who are there. */
  #drawTo() {
    const others = [...this.#connection.roster.participants.values()];
    const drawn = JSON.stringify(others.map(({ participant, displayName }) => [participant, displayName]));
    if (this.#to.dataset.drawn === drawn) return;
    this.#to.dataset.drawn = drawn;
    const chosen = this.#to.value;
    this.#to.replaceChildren(
      make("option", { value: "" }, say("toEveryone")),
      ...others.map(({ participant, displayName }) => make("option", { value: participant }, displayName)),
    );
    // Who was chosen and left: what is written must not go to everybody instead.
    const isThere = others.some(({ participant }) => participant === chosen);
    if (chosen !== "" && !isThere) {
      this.#to.append(make("option", { value: chosen, disabled: true }, say("notHere")));
    }
    this.#to.value = chosen;
  }

  /** @param {boolean} open */
  show(open) {
    this.element.hidden = !open;
    if (!open) return;
    this.unread = 0;
    this.#seen.advance(this.#newest);
    this.onunread();
    this.#field.focus();
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /**
   * Takes a message of somebody else.
   * @param {DataMessage} message
   * @returns {ChatMessage|null} if it is one
   */
  take({ from = BACKEND, topic, to, payload, time, from_name: given }) {
    if (topic !== TOPIC) return null;
    const { roster, self } = this.#connection;
    const name = roster.participants.get(from)?.displayName || nameOf(from, given);
    const message = read(payload, { from, name, at: timeOf(time), to: to?.length ? self : "" });
    if (!message || this.#shown.has(message.key)) return null;
    this.#add(message);
    this.#note(message.at, true);
    this.onunread();
    return message;
  }

  /** @param {HistoryMessage[]} messages */
  #takeHistory(messages) {
    const self = this.#connection.self;
    for (const { from = BACKEND, from_name: given, topic, payload, time } of messages) {
      if (topic !== TOPIC) continue;
      const isOwn = from === self;
      // We may be somebody else to the server since we wrote it.
      if (isOfThisTab(payload) && this.#shown.has(` ${payload.id}`)) continue;
      const message = read(payload, { from: isOwn ? "" : from, name: isOwn ? say("me") : nameOf(from, given), at: timeOf(time), to: "" });
      if (!message || this.#shown.has(message.key)) continue;
      this.#add(message);
      this.#note(message.at, !isOwn && !isOfThisTab(payload));
    }
    this.onunread();
  }

  /**
   * A message stands in the list: read at once where the panel is open, else unread.
   * @param {number} at
   * @param {boolean} isForeign
   */
  #note(at, isForeign) {
    this.#newest = Math.max(this.#newest, at);
    if (!this.element.hidden) this.#seen.advance(at);
    else if (isForeign && !this.#seen.has(at)) this.unread += 1;
  }

  #submit() {
    const text = this.#field.value.trim();
    if (text === "" || this.#to.selectedOptions[0]?.disabled) return;
    const to = this.#to.value;
    const toName = to === "" ? "" : (this.#connection.roster.participants.get(to)?.displayName ?? to);
    this.#field.value = "";
    this.#typed();
    // Distinct for each of ours is enough, and works where there is no https.
    const id = `${Seen.writer}-${Math.random().toString(36).slice(2)}`;
    const item = this.#add({ key: ` ${id}`, from: "", name: say("me"), text, at: Date.now(), to: toName });
    void this.#send(item, { text, id }, to);
  }

  /**
   * @param {HTMLElement} item
   * @param {{text: string, id: string}} payload
   * @param {string} to
   */
  async #send(item, payload, to) {
    item.querySelector(".unsent")?.remove();
    item.classList.add("pending");
    // While we are being brought back the answer may be long in coming: that is said. It may come
    // all the same; who gets a message twice shows it once, by its id.
    const late = setTimeout(() => this.#sayUnsent(item, payload, to), ANSWER_MS_MAX);
    const isSent = await this.#deliver(payload, to).then(() => true, () => false);
    clearTimeout(late);
    item.classList.remove("pending");
    if (isSent) item.querySelector(".unsent")?.remove();
    else this.#sayUnsent(item, payload, to);
  }

  /**
   * @param {{text: string, id: string}} payload
   * @param {string} to
   */
  async #deliver(payload, to) {
    if (to !== "") return this.#connection.sendData(TOPIC, payload, { to: [to] });
    try {
      return await this.#connection.sendData(TOPIC, payload, { keep: true });
    } catch (error) {
      // A server that keeps nothing still brings it to who is there.
      if (/** @type {any} */ (error)?.reason !== "FEATURE_ABSENT") throw error;
      return this.#connection.sendData(TOPIC, payload);
    }
  }

  /**
   * @param {HTMLElement} item
   * @param {{text: string, id: string}} payload
   * @param {string} to
   */
  #sayUnsent(item, payload, to) {
    if (item.querySelector(".unsent")) return;
    const retry = make("button", { type: "button", class: "quiet", onclick: () => void this.#send(item, payload, to) }, say("retry"));
    item.append(make("p", { class: "unsent", role: "alert" }, say("notSent"), " ", retry));
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** @param {ChatMessage} message */
  #add(message) {
    const { key, from, name, text, at, to } = message;
    const last = this.#last;
    const together = last !== null && last.from === from && last.to === to && at - last.at < GROUP_MS;
    this.#last = message;
    this.#shown.add(key);
    const time = new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    const whom = to === "" ? null : make("span", { class: "private" }, from === "" ? say("toOne", to) : say("toYou"));
    const item = make(
      "li",
      { class: from === "" ? "own" : "", "data-key": key },
      together ? null : make("p", { class: "who" }, make("b", {}, name), " ", make("time", { dateTime: new Date(at).toISOString() }, time), " ", whom),
      make("p", { class: "text" }, ...linked(text)),
    );
    this.#empty.hidden = true;
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 48;
    this.#list.append(item);
    if (this.#list.childElementCount > MESSAGES_MAX) {
      const oldest = /** @type {HTMLElement|null} */ (this.#list.firstElementChild);
      this.#shown.delete(oldest?.dataset.key ?? "");
      oldest?.remove();
    }
    if (atEnd || from === "") this.#list.scrollTop = this.#list.scrollHeight;
    return item;
  }

  #typed() {
    const { value } = this.#field;
    this.#field.rows = Math.min(6, value.split("\n").length);
    this.#length.textContent = value.length > LENGTH_TOLD ? say("lengthLeft", LENGTH_MAX - value.length) : "";
  }

  /** Follows the connection no more. */
  close() {
    for (const off of this.#off) off();
  }
}

/**
 * A payload as a message, if it is one.
 * @param {unknown} payload
 * @param {Omit<ChatMessage, "key"|"text">} about
 * @returns {ChatMessage|null}
 */
function read(payload, about) {
  // A backend's text is a string and nothing more.
  const { text, id } = /** @type {any} */ (typeof payload === "string" ? { text: payload } : payload) ?? {};
  if (typeof text !== "string" || text === "") return null;
  const key = typeof id === "string" && id !== "" ? `${about.from} ${id.slice(0, 64)}` : `${about.from} ${about.at} ${text.slice(0, 64)}`;
  return { key, text: text.slice(0, LENGTH_MAX), ...about };
}

/**
 * @param {string} from
 * @param {string|undefined} given what they were called when they wrote
 */
function nameOf(from, given) {
  return from === BACKEND ? say("announcement") : given || from;
}

/** @param {string|undefined} time of the server, RFC 3339 */
function timeOf(time) {
  return Date.parse(time ?? "") || Date.now();
}

/** @param {unknown} payload */
function isOfThisTab(payload) {
  const id = /** @type {any} */ (payload)?.id;
  return typeof id === "string" && id.startsWith(`${Seen.writer}-`);
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
