// The meeting: stage, panels and the bar of controls, tied to one connection.

import { say } from "../strings.js";
import { confirmed } from "./dialog.js";
import { fill, icon, make } from "./dom.js";
import { Keys, showKeys } from "./keys.js";
import { openMenu } from "./menu.js";
import { Panels } from "./panels.js";
import { Permits } from "./permits.js";
import { set } from "./preview.js";
import { showSettings } from "./settings.js";
import { Share } from "./share.js";
import { Stage } from "./stage.js";
import { StatisticsPanel } from "./statistics.js";
import { WakeLock } from "./wake_lock.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */
/** @import {MenuItem} from "./menu.js" */

/** In full screen the bar hides after this long without a movement. */
const BAR_MS = 4_000;
/** How late the clock may be. */
const CLOCK_MS = 5_000;

export class Meeting {
  #connection;
  #devices;
  #stage;
  #share;
  #panels;
  #permits;
  #statistics;
  #element;
  #keys;
  #wakeLock = new WakeLock();
  #microphone = tool();
  #camera = tool();
  #flip = tool("only-phone");
  #shareButton = tool("not-phone");
  #handButton = tool("not-phone");
  #chatButton = tool("not-phone");
  #peopleButton = tool("not-phone");
  #more = tool();
  #clock = make("time", { class: "dim" });
  #clockTimer = 0;
  #barTimer = 0;
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
    this.#panels = new Panels({ connection, devices, displayName, room, token });
    this.#stage = new Stage({
      connection,
      devices,
      displayName,
      stopSharing: () => this.#share.stop(),
      invite: () => this.#panels.invite(),
      menu: (key, button) => openMenu(button, say("tileMenuTitle"), this.#tileItems(key)),
      statistics: () => this.#panels.toggle("statistics", true),
    });
    this.#share = new Share({ connection, presenter: () => this.#stage.presenter, fail: (words) => this.#panels.toasts.show(words) });
    this.#share.onchange = () => this.#sharingChanged();
    this.#permits = new Permits({ connection, devices, toasts: this.#panels.toasts, share: this.#share });
    this.#permits.onchange = () => this.#drawTools();
    this.#statistics = new StatisticsPanel(connection, () => this.#panels.toggle("statistics", false));
    this.#panels.register("statistics", this.#statistics);
    this.#panels.onchange = () => this.#drawTools();
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
          this.#microphone, this.#camera, this.#flip, this.#shareButton, this.#handButton, this.#chatButton, this.#peopleButton, this.#more,
        ),
        make("div", { class: "toolbar-right" }, this.#leaveButton()),
      ),
    );
    this.#listenToTools();
    this.#keys = this.#listenToKeys();
    this.show(root);
    this.#listen();
    this.#startClock();
    this.#draw();
  }

  #leaveButton() {
    const words = say("leaveMeeting");
    const leave = () => this.#connection.leave();
    return make("button", { type: "button", class: "tool leave", "aria-label": words, title: words, onclick: leave }, icon("leave"), make("span", {}, say("leave")));
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
    const moved = () => this.#showBar();
    this.#element.addEventListener("pointermove", moved);
    this.#element.addEventListener("keydown", moved);
    document.addEventListener("fullscreenchange", moved);
    this.#off.push(
      connection.on("roster", () => this.#draw()),
      connection.on("media", () => this.#stage.draw()),
      connection.on("layers", () => this.#stage.drawStarved()),
      connection.on("speakers", () => this.#stage.drawSpeakers()),
      this.#devices.on("changed", () => this.#draw()),
      () => document.removeEventListener("fullscreenchange", moved),
    );
  }

  #listenToTools() {
    this.#microphone.onclick = () => void this.#toggleMicrophone();
    this.#camera.onclick = () => void this.#toggleCamera();
    this.#flip.onclick = () => void this.#devices.flip();
    this.#shareButton.onclick = () => this.#toggleShare();
    this.#handButton.onclick = () => void this.#panels.toggleHand();
    for (const [button, name] of /** @type {const} */ ([[this.#chatButton, "chat"], [this.#peopleButton, "people"]])) {
      button.dataset.panel = name;
      button.onclick = () => this.#panels.toggle(name);
    }
    this.#more.dataset.panel = "statistics";
    this.#more.setAttribute("aria-haspopup", "menu");
    this.#more.setAttribute("aria-expanded", "false");
    this.#more.onclick = () => openMenu(this.#more, say("more"), withoutKeys(this.#moreItems()));
    this.#shareButton.hidden = !Share.isSupported;
  }

  /** @returns {MenuItem[]} */
  #moreItems() {
    const { view, isSelfHidden } = this.#stage;
    const panels = this.#panels;
    /** @type {MenuItem[]} */
    const items = [
      { label: say("speakerView"), icon: "view", isChecked: view === "speaker", run: () => this.#toggleView() },
      { label: say("hideSelf"), icon: "hideSelf", isChecked: isSelfHidden, run: () => (this.#stage.isSelfHidden = !isSelfHidden) },
      { label: say("fullScreen"), icon: "fullScreen", isChecked: document.fullscreenElement !== null, run: () => this.#toggleFullScreen() },
      { label: say("statistics"), icon: "statistics", isChecked: panels.open === "statistics", run: () => panels.toggle("statistics") },
      { label: say("settings"), icon: "settings", run: () => showSettings(this.#devices) },
      { label: say("keys"), icon: "keys", run: () => showKeys() },
    ];
    if (Share.isSupported) {
      const isMotion = this.#share.prefersMotion;
      items.splice(3, 0, { label: say("preferMotion"), icon: "share", isChecked: isMotion, run: () => (this.#share.prefersMotion = !isMotion) });
    }
    if (!matchMedia("(max-width: 600px), (max-height: 480px)").matches) return items;
    // What has no place in the bar of a phone.
    const counted = (/** @type {string} */ label, /** @type {number} */ count) => (count > 0 ? `${label} (${count})` : label);
    return [
      { label: counted(say("chat"), panels.unread), icon: "chat", isChecked: panels.open === "chat", run: () => panels.toggle("chat") },
      { label: counted(say("people"), panels.waiting), icon: "people", isChecked: panels.open === "people", run: () => panels.toggle("people") },
      { label: say(panels.hand.isUp ? "lowerOwnHand" : "raiseHand"), icon: "hand", isChecked: panels.hand.isUp, run: () => void panels.toggleHand() },
      ...(Share.isSupported ? [/** @type {MenuItem} */ ({ label: say(this.#share.isOn ? "stopSharing" : "shareScreen"), icon: "share", run: () => this.#toggleShare() })] : []),
      ...items,
    ];
  }

  /**
   * @param {string} key
   * @returns {MenuItem[]}
   */
  #tileItems(key) {
    const { permissions, roster } = this.#connection;
    const isPinned = this.#stage.pinned === key;
    /** @type {MenuItem[]} */
    const items = [
      { label: say(isPinned ? "unpin" : "pin"), icon: "pin", run: () => this.#stage.pin(key) },
      { label: say("fullScreen"), icon: "fullScreen", run: () => void this.#stage.elementOf(key)?.requestFullscreen().catch(() => {}) },
      { label: say("statistics"), icon: "statistics", run: () => this.#panels.toggle("statistics", true) },
    ];
    const person = roster.participants.get(key.replace(/\/screen$/, ""));
    if (!person || !permissions?.admin) return items;
    // Somebody's tile is their voice; the sound of their screen has a tile of its own.
    const source = key.endsWith("/screen") ? "SCREEN_AUDIO" : "MICROPHONE";
    const sound = [...person.tracks.values()].find((each) => each.source === source && !each.muted);
    if (sound) items.push({ label: say("mute"), icon: "micOff", run: () => void this.#mute(sound.track) });
    items.push({ label: say("remove"), icon: "close", isDanger: true, run: () => void this.#remove(person) });
    return items;
  }

  /** @param {string} track */
  async #mute(track) {
    const room = this.#connection.room?.name ?? "";
    const muting = this.#connection.command("SetTrackMuted", { name: `rooms/${room}/tracks/${track}`, muted: true });
    await muting.catch((error) => this.#panels.fail(error));
  }

  /** @param {import("../plenum/roster.js").Participant} person */
  async #remove({ participant, displayName }) {
    if (!(await confirmed(say("removeQuestion", displayName), say("removeDetail"), say("remove")))) return;
    const room = this.#connection.room?.name ?? "";
    const removing = this.#connection.command("RemoveParticipant", { name: `rooms/${room}/participants/${participant}` });
    await removing.catch((error) => this.#panels.fail(error));
  }

  #draw() {
    this.#drawTools();
    this.#stage.draw();
  }

  #drawTools() {
    const { microphoneOn, cameraOn } = this.#devices;
    set(this.#microphone, microphoneOn, "mic", "micOff", say("mic"), say(microphoneOn ? "muteMicrophone" : "unmuteMicrophone"));
    set(this.#camera, cameraOn, "camera", "cameraOff", say("camera"), say(cameraOn ? "cameraOff" : "cameraOn"));
    deny(this.#microphone, !this.#permits.may("MICROPHONE"), say("microphoneDenied"));
    deny(this.#camera, !this.#permits.may("CAMERA"), say("cameraDenied"));
    this.#drawToggle(this.#shareButton, this.#share.isOn, "share", say("share"), say(this.#share.isOn ? "stopSharing" : "shareScreen"));
    deny(this.#shareButton, !this.#permits.may("SCREEN"), say("screenDenied"));
    const { open, unread, waiting, hand } = this.#panels;
    this.#drawToggle(this.#handButton, hand.isUp, "hand", say("hand"), say(hand.isUp ? "lowerOwnHand" : "raiseHand"));
    this.#drawToggle(this.#chatButton, open === "chat", "chat", say("chat"), say("openChat"), badge(unread, say("unread", unread)));
    this.#drawToggle(this.#peopleButton, open === "people", "people", say("people"), say("openPeople"), badge(waiting, say("waitingPeople")));
    // On a phone chat and people stand in the menu: what is new there is told on its button.
    const news = unread + waiting;
    fill(this.#more, "more", say("more"), say("more"), badge(news, unread > 0 ? say("unread", unread) : say("waitingPeople"), "only-phone"));
    fill(this.#flip, "flip", say("flip"), say("flipCamera"));
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {boolean} pressed
   * @param {import("./dom.js").Icon} name
   * @param {string} label
   * @param {string} title
   * @param {HTMLElement|null} [mark]
   */
  #drawToggle(button, pressed, name, label, title, mark) {
    button.setAttribute("aria-pressed", String(pressed));
    button.classList.toggle("on", pressed);
    fill(button, name, label, title, mark);
  }

  async #toggleMicrophone() {
    if (!this.#devices.microphoneOn && !this.#permits.ask("microphone")) return;
    await this.#devices.setMicrophone(!this.#devices.microphoneOn);
  }

  async #toggleCamera() {
    if (!this.#devices.cameraOn && !this.#permits.ask("camera")) return;
    if (!this.#devices.starting) await this.#devices.setCamera(!this.#devices.cameraOn);
  }

  #toggleShare() {
    if (this.#share.isOn || this.#permits.ask("screen")) void this.#share.toggle();
  }

  #toggleView() {
    this.#stage.view = this.#stage.view === "grid" ? "speaker" : "grid";
  }

  #toggleFullScreen() {
    const change = document.fullscreenElement ? document.exitFullscreen() : this.#element.requestFullscreen();
    // A browser may refuse; the page stays as it is.
    void change.catch(() => {});
  }

  #showBar() {
    clearTimeout(this.#barTimer);
    this.#element.classList.remove("bar-hidden");
    if (document.fullscreenElement !== this.#element) return;
    this.#barTimer = setTimeout(() => this.#element.classList.add("bar-hidden"), BAR_MS);
  }

  /** @param {boolean} isDown */
  #talk(isDown) {
    // Who is not muted goes on as before.
    if (isDown && this.#devices.microphoneOn) return;
    if (!isDown && !this.#isTalking) return;
    if (isDown && !this.#permits.ask("microphone")) return;
    this.#isTalking = isDown;
    void this.#devices.setMicrophone(isDown);
  }

  #sharingChanged() {
    this.#stage.ownScreen = this.#share.picture;
    this.#draw();
  }

  #listenToKeys() {
    const panels = this.#panels;
    return new Keys({
      microphone: () => void this.#toggleMicrophone(),
      camera: () => void this.#toggleCamera(),
      talk: (isDown) => this.#talk(isDown),
      share: () => this.#toggleShare(),
      hand: () => void panels.toggleHand(),
      chat: () => panels.toggle("chat"),
      people: () => panels.toggle("people"),
      statistics: () => panels.toggle("statistics"),
      view: () => this.#toggleView(),
      fullScreen: () => this.#toggleFullScreen(),
      pin: (number) => this.#stage.pinNumber(number),
      page: (step) => this.#stage.turn(step),
      escape: () => {
        if (panels.open === null) return false;
        panels.toggle(panels.open, false);
        return true;
      },
    });
  }

  #startClock() {
    // One for all times: making it takes longer than all it does in an hour.
    const format = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
    const draw = () => {
      const text = format.format();
      if (this.#clock.textContent !== text) this.#clock.textContent = text;
    };
    draw();
    this.#clockTimer = setInterval(draw, CLOCK_MS);
  }

  /** Lets go of everything; the page shows something else now. */
  close() {
    clearInterval(this.#clockTimer);
    clearTimeout(this.#barTimer);
    for (const off of this.#off) off();
    this.#permits.close();
    this.#share.close();
    this.#wakeLock.close();
    this.#keys.close();
    this.#panels.close();
    this.#statistics.close();
    this.#stage.close();
  }
}

/** @param {number} count @param {string} label @param {string} [look] */
function badge(count, label, look = "") {
  return count > 0 ? make("i", { class: `badge ${look}`, role: "img", "aria-label": label }, String(Math.min(99, count))) : null;
}

/**
 * Where there is no keyboard its keys are not named.
 * @param {MenuItem[]} items
 */
function withoutKeys(items) {
  if (!matchMedia("(hover: none) and (pointer: coarse)").matches) return items;
  return items.filter(({ icon }) => icon !== "keys").map((item) => ({ ...item, label: item.label.replace(/ \([A-Z]\)$/, "") }));
}

/**
 * A button that the host does not let us use says why; pressed, it says so aloud.
 * @param {HTMLButtonElement} button
 * @param {boolean} isDenied
 * @param {string} why
 */
function deny(button, isDenied, why) {
  button.classList.toggle("denied", isDenied);
  if (isDenied) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
  if (isDenied) button.title = why;
}

function tool(look = "") {
  return make("button", { type: "button", class: `tool ${look}` });
}
