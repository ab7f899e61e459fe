// The meeting: stage, panels and the bar of controls, tied to one connection.

import { say } from "../strings.js";
import { Chat, TOPIC } from "./chat.js";
import { icon, make } from "./dom.js";
import { set } from "./lobby.js";
import { Banner, Toasts } from "./notices.js";
import { Stage } from "./stage.js";
import { StatisticsPanel } from "./statistics.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */

export class Meeting {
  #connection;
  #devices;
  #stage;
  #chat;
  #statistics;
  #banner;
  #toasts = new Toasts();
  #microphone = tool();
  #camera = tool();
  #share = tool();
  #chatButton = tool();
  #statisticsButton = tool();
  #clock = make("time", { class: "dim" });
  #clockTimer = 0;
  /** @type {MediaStream|null} */
  #screen = null;
  /** @type {(() => void)[]} */
  #off = [];
  #onKey = (/** @type {KeyboardEvent} */ event) => this.#key(event);

  /**
   * @param {HTMLElement} root
   * @param {{connection: Connection, devices: Devices, displayName: string, room: string}} options
   */
  constructor(root, { connection, devices, displayName, room }) {
    this.#connection = connection;
    this.#devices = devices;
    this.#stage = new Stage(connection, devices, displayName, () => this.#stopSharing());
    this.#chat = new Chat(connection, () => this.#toggleChat(false));
    this.#statistics = new StatisticsPanel(connection, () => this.#toggleStatistics(false));
    this.#banner = new Banner(connection);
    const leave = make("button", { type: "button", class: "tool leave", "aria-label": say("leaveMeeting"), title: say("leaveMeeting"), onclick: () => connection.leave() }, icon("leave"), make("span", {}, say("leave")));
    this.#microphone.onclick = () => void this.#toggleMicrophone();
    this.#camera.onclick = () => void this.#toggleCamera();
    this.#share.onclick = () => void this.#toggleShare();
    this.#chatButton.onclick = () => this.#toggleChat();
    this.#statisticsButton.onclick = () => this.#toggleStatistics();
    this.#share.hidden = !navigator.mediaDevices?.getDisplayMedia;
    root.replaceChildren(
      make(
        "div",
        { class: "meeting" },
        make("main", {}, this.#stage.element, this.#chat.element, this.#statistics.element),
        this.#banner.element,
        this.#toasts.element,
        make(
          "nav",
          { class: "toolbar", "aria-label": say("toolbar") },
          make("div", { class: "toolbar-left" }, make("b", { class: "room-name" }, room), this.#clock),
          make("div", { class: "toolbar-centre" }, this.#microphone, this.#camera, this.#share, this.#chatButton, this.#statisticsButton),
          make("div", { class: "toolbar-right" }, leave),
        ),
      ),
    );
    this.#listen();
    this.#startClock();
    this.#draw();
  }

  #listen() {
    const connection = this.#connection;
    this.#off.push(
      connection.on("roster", () => this.#stage.draw()),
      connection.on("media", () => this.#stage.draw()),
      connection.on("speakers", () => this.#stage.drawSpeakers()),
      connection.on("data", ({ from, topic, payload }) => {
        if (topic !== TOPIC) return;
        const text = this.#chat.take(from, payload);
        const name = connection.roster.participants.get(from)?.displayName ?? from;
        if (text !== null && this.#chat.element.hidden) this.#toasts.show(`${name}: ${text.slice(0, 120)}`);
      }),
      connection.on("joined", (ids) => {
        for (const id of ids) {
          if (id !== connection.self) this.#toasts.joined(connection.roster.participants.get(id)?.displayName ?? id);
        }
      }),
      this.#devices.on("changed", () => this.#draw()),
    );
    this.#chat.onunread = () => this.#drawTools();
    document.addEventListener("keydown", this.#onKey);
  }

  #draw() {
    this.#drawTools();
    this.#stage.draw();
  }

  #drawTools() {
    const { microphoneOn, cameraOn } = this.#devices;
    set(this.#microphone, microphoneOn, "mic", "micOff", say("mic"), say(microphoneOn ? "muteMicrophone" : "unmuteMicrophone"));
    set(this.#camera, cameraOn, "camera", "cameraOff", say("camera"), say(cameraOn ? "cameraOff" : "cameraOn"));
    this.#drawToggle(this.#share, this.#screen !== null, "share", say("share"), say(this.#screen ? "stopSharing" : "shareScreen"));
    this.#drawToggle(this.#chatButton, !this.#chat.element.hidden, "chat", say("chat"), say("openChat"));
    this.#drawToggle(this.#statisticsButton, !this.#statistics.element.hidden, "statistics", say("statistics"), say("openStatistics"));
    if (this.#chat.unread > 0) {
      this.#chatButton.append(make("i", { class: "badge", "aria-label": say("unread", this.#chat.unread) }, String(Math.min(99, this.#chat.unread))));
    }
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {boolean} pressed
   * @param {import("./dom.js").Icon} name
   * @param {string} label
   * @param {string} title
   */
  #drawToggle(button, pressed, name, label, title) {
    button.setAttribute("aria-pressed", String(pressed));
    button.setAttribute("aria-label", title);
    button.title = title;
    button.classList.toggle("on", pressed);
    button.replaceChildren(icon(name), make("span", {}, label));
  }

  async #toggleMicrophone() {
    const devices = this.#devices;
    const had = devices.microphone;
    await devices.setMicrophone(!devices.microphoneOn);
    this.#sayProblems();
    if (devices.microphone && devices.microphone !== had) this.#connection.publish("MICROPHONE", devices.microphone);
    else this.#connection.setMuted("MICROPHONE", !devices.microphoneOn);
  }

  async #toggleCamera() {
    const devices = this.#devices;
    if (devices.starting) return;
    const on = !devices.cameraOn;
    if (!on) this.#connection.setMuted("CAMERA", true);
    await devices.setCamera(on);
    this.#sayProblems();
    if (!on || !devices.camera) return;
    this.#connection.replace("CAMERA", devices.camera);
    this.#connection.setMuted("CAMERA", false);
  }

  #sayProblems() {
    for (const problem of this.#devices.problems) this.#toasts.show(problem);
  }

  async #toggleShare() {
    if (this.#screen) {
      this.#stopSharing();
      return;
    }
    try {
      this.#screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: true });
    } catch (error) {
      // NotAllowedError: closed the chooser, which needs no word of ours.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") this.#toasts.show(say("sharingFailed"));
      return;
    }
    const [picture] = this.#screen.getVideoTracks();
    const [sound] = this.#screen.getAudioTracks();
    if (picture) {
      picture.contentHint = "detail";
      // The browser's own "Stop sharing".
      picture.addEventListener("ended", () => this.#stopSharing());
      this.#connection.publish("SCREEN", picture);
      this.#stage.ownScreen = picture;
    }
    if (sound) this.#connection.publish("SCREEN_AUDIO", sound);
    this.#draw();
  }

  #stopSharing() {
    if (!this.#screen) return;
    const sound = this.#screen.getAudioTracks().length > 0;
    for (const track of this.#screen.getTracks()) track.stop();
    this.#screen = null;
    this.#stage.ownScreen = null;
    this.#connection.publish("SCREEN", null);
    if (sound) this.#connection.publish("SCREEN_AUDIO", null);
    this.#draw();
  }

  /** @param {boolean} [open] */
  #toggleChat(open = Boolean(this.#chat.element.hidden)) {
    if (open) this.#statistics.show(false);
    this.#chat.show(open);
    this.#drawTools();
    if (!open) this.#chatButton.focus();
  }

  /** @param {boolean} [open] */
  #toggleStatistics(open = Boolean(this.#statistics.element.hidden)) {
    if (open) this.#chat.show(false);
    this.#statistics.show(open);
    this.#drawTools();
    if (!open) this.#statisticsButton.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (command && !event.shiftKey && !event.altKey && (key === "d" || key === "e")) {
      event.preventDefault();
      void (key === "d" ? this.#toggleMicrophone() : this.#toggleCamera());
      return;
    }
    if (key === "escape") {
      if (!this.#chat.element.hidden) this.#toggleChat(false);
      else if (!this.#statistics.element.hidden) this.#toggleStatistics(false);
      return;
    }
    if (command || event.altKey || event.repeat || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    if (key === "m") void this.#toggleMicrophone();
    else if (key === "v") void this.#toggleCamera();
    else if (key === "d") void this.#toggleShare();
    else if (key === "c") this.#toggleChat(true);
    else if (key === "a") this.#toggleStatistics();
    else return;
    event.preventDefault();
  }

  #startClock() {
    const draw = () => {
      this.#clock.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    };
    draw();
    this.#clockTimer = setInterval(draw, 5_000);
  }

  /** Lets go of everything; the page shows something else now. */
  close() {
    clearInterval(this.#clockTimer);
    document.removeEventListener("keydown", this.#onKey);
    for (const off of this.#off) off();
    for (const track of this.#screen?.getTracks() ?? []) track.stop();
    this.#banner.close();
    this.#statistics.close();
    this.#stage.close();
  }
}

function tool() {
  return make("button", { type: "button", class: "tool" });
}
