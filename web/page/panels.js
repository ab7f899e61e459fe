// What stands beside and above the stage: panels of which one is open at a time, hands, joins,
// toasts and the banner. The frame gives it a place and buttons; it says when those change.

import { say } from "../strings.js";
import { Chat } from "./chat.js";
import { chime } from "./chime.js";
import { noticeDevices } from "./device_notices.js";
import { Hand } from "./hand.js";
import { inviteLink } from "./invite.js";
import { Banner, Toasts } from "./notices.js";
import { People } from "./people.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */

/**
 * A panel that others bring: shown and hidden with the rest.
 * @typedef {{element: HTMLElement, show: (open: boolean) => void}} Panel
 */

/**
 * @typedef {{
 *   connection: Connection, devices: Devices, displayName: string, room: string, token: string|null
 * }} PanelsOptions `token`: our own, for the invite link
 */

/** How much of a message a toast shows. */
const TOAST_TEXT_MAX = 120;

export class Panels {
  /** Called where a button of the frame has to be drawn anew: a panel was opened or closed,
   * something unread came, a hand went up or down, somebody waits.
   * @type {() => void} */
  onchange = () => {};
  toasts = new Toasts();
  chat;
  people;
  hand;
  /** How many wait to be let in. */
  waiting = 0;
  /** @type {string|null} */
  open = null;
  #banner;
  #options;
  /** @type {Map<string, Panel>} */
  #panels = new Map();
  /** @type {(() => void)[]} */
  #off;

  /** @param {PanelsOptions} options */
  constructor(options) {
    this.#options = options;
    const { connection, devices, displayName } = options;
    this.#banner = new Banner(connection);
    this.hand = new Hand(connection);
    this.chat = new Chat(connection, options.room, () => this.toggle("chat", false));
    this.people = new People({
      connection,
      devices,
      displayName,
      room: options.room,
      close: () => this.toggle("people", false),
      fail: (error) => this.fail(error),
      invite: () => this.invite(),
    });
    this.#panels.set("chat", this.chat);
    this.#panels.set("people", this.people);
    this.#off = [
      connection.on("data", (message) => this.#data(message)),
      connection.on("joined", (ids) => this.#joined(ids)),
      noticeDevices(devices, this.toasts, () => connection.may("MICROPHONE")),
    ];
    this.chat.onunread = () => this.onchange();
    this.hand.onchange = (raised) => this.#raised(raised);
    this.people.onwaiting = (waiting) => this.#waitingChanged(waiting);
  }

  /** What goes beside the stage. */
  get asides() {
    return [...this.#panels.values()].map(({ element }) => element);
  }

  /** What goes above everything. */
  get overlays() {
    return [this.#banner.element, this.toasts.element];
  }

  get unread() {
    return this.chat.unread;
  }

  /**
   * Takes in a panel of somebody else, as "statistics".
   * @param {string} name
   * @param {Panel} panel
   */
  register(name, panel) {
    this.#panels.set(name, panel);
  }

  /**
   * Opens or closes a panel; what was open makes room.
   * @param {string} name
   * @param {boolean} [open]
   */
  toggle(name, open = this.open !== name) {
    if (!open && this.open !== name) return;
    const opener = document.activeElement;
    for (const [each, panel] of this.#panels) {
      const isOpen = open && each === name;
      if (isOpen || !panel.element.hidden) panel.show(isOpen);
    }
    this.open = open ? name : null;
    if (open) this.toasts.drop(name);
    this.onchange();
    // Who closes a panel by a button in it goes on at the button that opened it.
    const isLost = !open && (opener === document.body || !opener?.isConnected || this.#panels.get(name)?.element.contains(opener));
    if (isLost) /** @type {HTMLElement|null} */ (document.querySelector(`.toolbar [data-panel="${name}"]`))?.focus();
  }

  /** Raises our hand or takes it down. */
  async toggleHand() {
    await this.hand.toggle().catch((error) => this.fail(error));
  }

  /** The link that brings others in. */
  invite() {
    return inviteLink(this.#options);
  }

  /**
   * Says that something was refused.
   * @param {unknown} error
   */
  fail(error) {
    const message = /** @type {any} */ (error)?.message;
    this.toasts.show(say("notDone", String(message || /** @type {any} */ (error)?.reason || "")));
  }

  /** @param {string} id */
  #nameOf(id) {
    return this.#options.connection.roster.participants.get(id)?.displayName ?? id;
  }

  /** @param {import("../plenum/messages.js").DataMessage} message */
  #data(message) {
    const taken = this.chat.take(message);
    if (taken === null || this.open === "chat") return;
    const show = { label: say("chat"), run: () => this.toggle("chat", true) };
    this.toasts.show(`${taken.name}: ${taken.text.slice(0, TOAST_TEXT_MAX)}`, show, { isBrief: true, about: "chat" });
  }

  /** @param {string[]} ids */
  #joined(ids) {
    const { connection } = this.#options;
    const others = ids.filter((id) => id !== connection.self);
    for (const id of others) this.toasts.joined(this.#nameOf(id));
    if (others.length > 0) chime(connection.roster.participants.size + 1);
  }

  /** @param {string[]} raised */
  #raised(raised) {
    const { self } = this.#options.connection;
    for (const id of raised) {
      if (id !== self) this.toasts.show(say("raisedHand", this.#nameOf(id)));
    }
    this.onchange();
  }

  /** @param {number} waiting */
  #waitingChanged(waiting) {
    if (waiting > this.waiting) {
      const show = { label: say("people"), run: () => this.toggle("people", true) };
      const [last] = this.#options.connection.waitingParticipants.slice(-1);
      this.toasts.show(say("wantsIn", last?.displayName ?? ""), show, { about: "people" });
    }
    this.waiting = waiting;
    this.onchange();
  }

  /** Lets go of everything. */
  close() {
    for (const off of this.#off) off();
    this.#banner.close();
    this.hand.close();
    this.chat.close();
    this.people.close();
  }
}
