// The meeting: stage, panels and the bar of controls, tied to one connection.

import { say } from "../strings.js";
import { icon, make } from "./dom.js";
import { Keys } from "./keys.js";
import { Panels } from "./panels.js";
import { set } from "./preview.js";
import { showSettings } from "./settings.js";
import { Stage } from "./stage.js";
import { StatisticsPanel } from "./statistics.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */

export class Meeting {
  #connection;
  #devices;
  #stage;
  #panels;
  #statistics;
  #element;
  #keys;
  #microphone = tool();
  #camera = tool();
  #share = tool();
  #handButton = tool();
  #chatButton = tool();
  #peopleButton = tool();
  #statisticsButton = tool();
  #settingsButton = tool();
  #clock = make("time", { class: "dim" });
  #clockTimer = 0;
  /** @type {MediaStream|null} */
  #screen = null;
  /** @type {(() => void)[]} */
  #off = [];
  /** Whether the Space bar holds the microphone open. */
  #isTalking = false;

  /**
   * @param {HTMLElement} root
   * @param {{connection: Connection, devices: Devices, displayName: string, room: string, token: string|null}} options
   */
  constructor(root, { connection, devices, displayName, room, token }) {
    this.#connection = connection;
    this.#devices = devices;
    this.#stage = new Stage(connection, devices, displayName, () => this.#stopSharing());
    this.#panels = new Panels({ connection, devices, displayName, room, token });
    this.#statistics = new StatisticsPanel(connection, () => this.#panels.toggle("statistics", false));
    this.#panels.register("statistics", this.#statistics);
    this.#panels.onchange = () => this.#drawTools();
    const leave = make("button", { type: "button", class: "tool leave", "aria-label": say("leaveMeeting"), title: say("leaveMeeting"), onclick: () => connection.leave() }, icon("leave"), make("span", {}, say("leave")));
    this.#microphone.onclick = () => void this.#toggleMicrophone();
    this.#camera.onclick = () => void this.#toggleCamera();
    this.#share.onclick = () => void this.#toggleShare();
    this.#handButton.onclick = () => void this.#panels.toggleHand();
    for (const [button, name] of /** @type {const} */ ([[this.#chatButton, "chat"], [this.#peopleButton, "people"], [this.#statisticsButton, "statistics"]])) {
      button.dataset.panel = name;
      button.onclick = () => this.#panels.toggle(name);
    }
    this.#settingsButton.onclick = () => showSettings(devices);
    this.#share.hidden = !navigator.mediaDevices?.getDisplayMedia;
    this.#element = make(
      "div",
      { class: "meeting" },
      make("main", {}, this.#stage.element, ...this.#panels.asides),
      ...this.#panels.overlays,
      make(
        "nav",
        { class: "toolbar", "aria-label": say("toolbar") },
        make("div", { class: "toolbar-left" }, make("b", { class: "room-name" }, room), this.#clock),
        make(
          "div",
          { class: "toolbar-centre" },
          this.#microphone, this.#camera, this.#share, this.#handButton, this.#chatButton, this.#peopleButton, this.#statisticsButton, this.#settingsButton,
        ),
        make("div", { class: "toolbar-right" }, leave),
      ),
    );
    this.#keys = this.#listenToKeys();
    this.show(root);
    this.#listen();
    this.#startClock();
    this.#draw();
  }

  /**
   * Puts the meeting on the page.
   * @param {HTMLElement} root
   */
  show(root) {
    root.replaceChildren(this.#element);
    this.#stage.draw();
  }

  #listen() {
    const connection = this.#connection;
    this.#off.push(
      connection.on("roster", () => this.#stage.draw()),
      connection.on("media", () => this.#stage.draw()),
      connection.on("speakers", () => this.#stage.drawSpeakers()),
      this.#devices.on("changed", () => this.#draw()),
    );
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
    const { open, unread, waiting, hand } = this.#panels;
    this.#drawToggle(this.#handButton, hand.isUp, "hand", say("hand"), say(hand.isUp ? "lowerOwnHand" : "raiseHand"));
    this.#drawToggle(this.#chatButton, open === "chat", "chat", say("chat"), say("openChat"));
    this.#drawToggle(this.#peopleButton, open === "people", "people", say("people"), say("openPeople"));
    this.#drawToggle(this.#statisticsButton, open === "statistics", "statistics", say("statistics"), say("openStatistics"));
    if (!this.#settingsButton.hasChildNodes()) this.#drawToggle(this.#settingsButton, false, "settings", say("settings"), say("settings"));
    if (unread > 0) this.#chatButton.append(make("i", { class: "badge", role: "img", "aria-label": say("unread", unread) }, String(Math.min(99, unread))));
    if (waiting > 0) this.#peopleButton.append(make("i", { class: "badge", role: "img", "aria-label": say("waitingPeople") }, String(Math.min(99, waiting))));
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
    await this.#devices.setMicrophone(!this.#devices.microphoneOn);
  }

  async #toggleCamera() {
    if (!this.#devices.starting) await this.#devices.setCamera(!this.#devices.cameraOn);
  }

  /** @param {boolean} isDown */
  #talk(isDown) {
    // Who is not muted goes on as before.
    if (isDown && this.#devices.microphoneOn) return;
    if (!isDown && !this.#isTalking) return;
    this.#isTalking = isDown;
    void this.#devices.setMicrophone(isDown);
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
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") this.#panels.toasts.show(say("sharingFailed"));
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

  #listenToKeys() {
    const panels = this.#panels;
    return new Keys({
      microphone: () => void this.#toggleMicrophone(),
      camera: () => void this.#toggleCamera(),
      talk: (isDown) => this.#talk(isDown),
      share: () => void this.#toggleShare(),
      hand: () => void panels.toggleHand(),
      chat: () => panels.toggle("chat"),
      people: () => panels.toggle("people"),
      statistics: () => panels.toggle("statistics"),
      view: () => {},
      fullScreen: () => void (document.fullscreenElement ? document.exitFullscreen() : this.#element.requestFullscreen()),
      pin: () => {},
      page: () => {},
      escape: () => {
        if (panels.open === null) return false;
        panels.toggle(panels.open, false);
        return true;
      },
    });
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
    for (const off of this.#off) off();
    for (const track of this.#screen?.getTracks() ?? []) track.stop();
    this.#keys.close();
    this.#panels.close();
    this.#statistics.close();
    this.#stage.close();
  }
}

function tool() {
  return make("button", { type: "button", class: "tool" });
}
