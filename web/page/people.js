// The list of people: search, count, hands first, who is muted; for admins what they may do.

import { say } from "../strings.js";
import { confirmed } from "./dialog.js";
import { icon, make, redraw } from "./dom.js";
import { HAND, handOf } from "./hand.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Participant} from "../plenum/roster.js" */
/** @import {Devices} from "./devices.js" */

/**
 * @typedef {{
 *   connection: Connection, devices: Devices, displayName: string, room: string, close: () => void,
 *   fail: (error: unknown) => void, invite: () => Promise<string>
 * }} PeopleOptions `fail`: says that a command was refused
 */

export class People {
  element;
  /** Called where the number of those who wait changed. @type {(waiting: number) => void} */
  onwaiting = () => {};
  #options;
  #title = make("h2");
  #search = make("input", { type: "search", class: "people-search", placeholder: say("searchPeople"), "aria-label": say("searchPeople") });
  #waitingList = make("ul", { class: "people-list" });
  #waiting = make("section", { class: "people-waiting", hidden: true, "aria-label": say("waitingPeople") }, make("h3", {}, say("waitingPeople")), this.#waitingList);
  #list = make("ul", { class: "people-list", "aria-label": say("people") });
  #lock = make("button", { type: "button", hidden: true });
  #lobby = make("button", { type: "button", hidden: true });
  #invite = make("span", {}, say("copyInvite"));
  /** @type {(() => void)[]} */
  #off;
  #waitingCount = 0;

  /** @param {PeopleOptions} options */
  constructor(options) {
    this.#options = options;
    const { connection, devices, close } = options;
    this.#search.addEventListener("input", () => this.#draw());
    this.#lock.onclick = () => void this.#setRoom("locked", !connection.room?.locked);
    this.#lobby.onclick = () => void this.#setRoom("waiting_room", !connection.room?.waiting_room);
    this.element = make(
      "aside",
      { class: "panel people", hidden: true, "aria-label": say("people") },
      make(
        "header",
        {},
        this.#title,
        make("button", { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: close }, icon("close")),
      ),
      make("div", { class: "people-top" }, this.#search),
      make("div", { class: "people-scroll", tabIndex: 0, role: "region", "aria-label": say("people") }, this.#waiting, this.#list),
      make(
        "footer",
        {},
        make("button", { type: "button", onclick: () => void this.#copyInvite() }, icon("copy"), this.#invite),
        this.#lock,
        this.#lobby,
      ),
    );
    const draw = () => this.#draw();
    this.#off = [
      connection.on("roster", draw),
      connection.on("room", draw),
      connection.on("permissions", draw),
      connection.on("state", draw),
      connection.on("waiting", draw),
      devices.on("changed", draw),
    ];
    this.#draw();
  }

  /** @param {boolean} open */
  show(open) {
    this.element.hidden = !open;
    if (!open) return;
    this.#draw();
    this.#search.focus();
  }

  get #isAdmin() {
    return Boolean(this.#options.connection.permissions?.admin);
  }

  #draw() {
    const { connection } = this.#options;
    const waiting = this.#isAdmin ? connection.waitingParticipants : [];
    if (waiting.length !== this.#waitingCount) {
      this.#waitingCount = waiting.length;
      this.onwaiting(waiting.length);
    }
    if (this.element.hidden) return;
    const others = [...connection.roster.participants.values()];
    this.#title.textContent = say("peopleCount", others.length + 1);
    this.#keepFocus(() => {
      this.#drawWaiting(waiting);
      this.#drawList(others);
      this.#drawRoom();
    });
  }

  /**
   * A row that changes is made anew: who works in them by the keyboard stays there.
   * @param {() => void} draw
   */
  #keepFocus(draw) {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement);
    const key = this.element.contains(focused) ? focused?.dataset.focus : undefined;
    draw();
    if (!key || focused?.isConnected) return;
    const again = [...this.element.querySelectorAll("[data-focus]")].find((each) => /** @type {HTMLElement} */ (each).dataset.focus === key);
    (/** @type {HTMLElement|undefined} */ (again) ?? this.#search).focus();
  }

  /** @param {Participant[]} waiting */
  #drawWaiting(waiting) {
    this.#waiting.hidden = waiting.length === 0;
    redraw(
      this.#waitingList,
      waiting.map(({ participant, displayName }) =>
        make(
          "li",
          { class: "person" },
          make("span", { class: "person-name" }, displayName),
          this.#action(`admit ${participant}`, say("admit"), say("admitOne", displayName), () => this.#command("AdmitParticipant", { name: this.#name(participant) })),
          this.#action(`deny ${participant}`, say("deny"), say("denyOne", displayName), () => this.#command("RemoveParticipant", { name: this.#name(participant) })),
        ),
      ),
    );
  }

  /** @param {Participant[]} others */
  #drawList(others) {
    const { connection, devices, displayName } = this.#options;
    const wanted = this.#search.value.trim().toLocaleLowerCase();
    const own = {
      id: connection.self, name: say("you", displayName), hand: handOf(connection.roster.own), away: false,
      microphone: devices.microphoneOn, camera: devices.cameraOn, participant: /** @type {Participant|null} */ (null),
    };
    const rows = [own, ...others.map((each) => ({
      id: each.participant, name: each.displayName, hand: handOf(each), away: each.state === "RESUMING",
      microphone: isOn(each, "MICROPHONE"), camera: isOn(each, "CAMERA"), participant: each,
    }))].filter(({ name }) => name.toLocaleLowerCase().includes(wanted));
    // Hands first, the longest raised on top; the others stay in the order of joining.
    rows.sort((a, b) => (a.hand && b.hand ? (a.hand < b.hand ? -1 : 1) : Number(Boolean(b.hand)) - Number(Boolean(a.hand))));
    redraw(this.#list, rows.length > 0 ? rows.map((row) => this.#row(row)) : [make("li", { class: "dim panel-empty" }, say("nobodyFound"))]);
  }

  /**
   * @param {{id: string, name: string, hand: string, away: boolean, microphone: boolean, camera: boolean, participant: Participant|null}} row
   */
  #row({ id, name, hand, away, microphone, camera, participant }) {
    return make(
      "li",
      { class: "person", "data-participant": id },
      hand === "" ? null : make("span", { class: "person-hand", role: "img", "aria-label": say("handIsUp") }, icon("hand")),
      make("span", { class: "person-name" }, name, away ? make("small", { class: "dim" }, ` ${say("reconnecting")}`) : null),
      state(microphone ? "mic" : "micOff", microphone, say(microphone ? "microphoneIsOn" : "microphoneIsOff")),
      state(camera ? "camera" : "cameraOff", camera, say(camera ? "cameraIsOn" : "cameraIsOff")),
      participant && this.#isAdmin ? this.#controls(participant, name) : null,
    );
  }

  /** @param {Participant} participant @param {string} name */
  #controls(participant, name) {
    const id = participant.participant;
    const microphone = trackOf(participant, "MICROPHONE");
    return make(
      "div",
      { class: "person-controls" },
      microphone && !microphone.muted
        ? this.#action(`mute ${id} ${microphone.track}`, say("mute"), say("muteOne", name), () => this.#command("SetTrackMuted", { name: `rooms/${this.#room}/tracks/${microphone.track}`, muted: true }))
        : null,
      handOf(participant) === "" ? null : this.#action(`lower ${id}`, say("lowerHand"), say("lowerHandOf", name), () => this.#lowerHand(participant)),
      this.#action(`remove ${id}`, say("remove"), say("removeOne", name), () => this.remove(participant)),
    );
  }

  #drawRoom() {
    const { room } = this.#options.connection;
    for (const [button, isOn, label] of /** @type {const} */ ([
      [this.#lock, room?.locked, say("lockMeeting")],
      [this.#lobby, room?.waiting_room, say("waitingRoom")],
    ])) {
      button.hidden = !this.#isAdmin;
      button.textContent = label;
      button.setAttribute("aria-pressed", String(Boolean(isOn)));
      button.classList.toggle("on", Boolean(isOn));
    }
  }

  /**
   * @param {string} key @param {string} label @param {string} name
   * @param {() => unknown} run
   */
  #action(key, label, name, run) {
    return make("button", { type: "button", class: "quiet small", "aria-label": name, title: name, "data-focus": key, onclick: () => void run() }, label);
  }

  get #room() {
    return this.#options.room;
  }

  /** @param {string} id */
  #name(id) {
    return `rooms/${this.#room}/participants/${id}`;
  }

  /**
   * Puts somebody out, once that is confirmed. Also what a tile's menu does.
   * @param {Participant} participant
   */
  async remove({ participant, displayName }) {
    if (!(await confirmed(say("removeQuestion", displayName), say("removeDetail"), say("remove")))) return;
    await this.#command("RemoveParticipant", { name: this.#name(participant) });
  }

  /** @param {Participant} participant */
  #lowerHand({ participant }) {
    const { attributes = {} } = this.#options.connection.roster.participants.get(participant) ?? {};
    const rest = Object.fromEntries(Object.entries(attributes).filter(([key]) => key !== HAND));
    return this.#command("UpdateParticipant", { participant: { name: this.#name(participant), attributes: rest }, update_mask: "attributes" });
  }

  /** @param {"locked"|"waiting_room"} field @param {boolean} value */
  #setRoom(field, value) {
    const room = { name: `rooms/${this.#room}`, ...(field === "locked" ? { locked: value } : { config: { waiting_room: value } }) };
    return this.#command("UpdateRoom", { room, update_mask: field === "locked" ? "locked" : "config.waiting_room" });
  }

  /** @param {string} method @param {object} body */
  async #command(method, body) {
    await this.#options.connection.command(method, body).catch((error) => this.#options.fail(error));
  }

  async #copyInvite() {
    try {
      await navigator.clipboard.writeText(await this.#options.invite());
    } catch (error) {
      this.#options.fail(error);
      return;
    }
    this.#invite.textContent = say("copied");
    setTimeout(() => (this.#invite.textContent = say("copyInvite")), 2_000);
  }

  /** Follows the connection no more. */
  close() {
    for (const off of this.#off) off();
  }
}

/** @param {Participant} participant @param {string} source */
function trackOf(participant, source) {
  return [...participant.tracks.values()].find((track) => track.source === source) ?? null;
}

/** @param {Participant} participant @param {string} source */
function isOn(participant, source) {
  const track = trackOf(participant, source);
  return track !== null && !track.muted;
}

/** @param {import("./dom.js").Icon} name @param {boolean} on @param {string} label */
function state(name, on, label) {
  return make("span", { class: on ? "person-state" : "person-state is-off", role: "img", "aria-label": label, title: label }, icon(name));
}
