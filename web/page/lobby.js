// Before joining: see and hear oneself, say one's name.

import { say } from "../strings.js";
import { followLevel } from "./devices.js";
import { icon, make } from "./dom.js";

/** @import {Devices} from "./devices.js" */

/** Where the name is remembered. */
const NAME_KEY = "plenum.name";

/** The name given last time. */
export function rememberedName() {
  return localStorage.getItem(NAME_KEY) ?? "";
}

/** @param {string} name */
export function rememberName(name) {
  localStorage.setItem(NAME_KEY, name);
}

export class Lobby {
  #devices;
  #video = make("video", { class: "mirrored", autoplay: true, muted: true, playsInline: true, "aria-label": say("preview") });
  #off = make("p", { class: "preview-off" });
  #microphone = toggle();
  #camera = toggle();
  #bars = make("div", { class: "bars", role: "img", "aria-label": say("level"), "data-level": "0" }, ...Array.from({ length: 5 }, () => make("i")));
  #problems = make("div", { class: "problems", role: "status" });
  /** @type {() => void} */
  #stopLevel = () => {};
  /** @type {MediaStreamTrack|null} */
  #followed = null;
  #stopListening;

  /**
   * @param {HTMLElement} root
   * @param {string} room
   * @param {Devices} devices
   * @param {(name: string) => void} join
   */
  constructor(root, room, devices, join) {
    this.#devices = devices;
    const name = make("input", { id: "name", name: "name", required: true, maxLength: 128, autocomplete: "name", value: rememberedName() });
    this.#microphone.onclick = () => void devices.setMicrophone(!devices.microphoneOn);
    this.#camera.onclick = () => void devices.setCamera(!devices.cameraOn);
    const form = make(
      "form",
      {
        class: "lobby-form",
        onsubmit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          const given = name.value.trim();
          if (given) join(given);
        },
      },
      make("h1", {}, say("lobbyTitle")),
      make("p", { class: "dim room-name" }, room),
      make("label", { for: "name" }, say("yourName")),
      name,
      make("button", { class: "primary", type: "submit" }, say("join")),
      this.#problems,
    );
    const preview = make("div", { class: "preview" }, this.#video, this.#off, this.#bars, make("div", { class: "preview-bar" }, this.#microphone, this.#camera));
    root.replaceChildren(make("main", { class: "centre" }, make("div", { class: "lobby" }, preview, form)));
    this.#stopListening = devices.on("changed", () => this.#show());
    this.#show();
    name.focus();
  }

  #show() {
    const { camera, cameraOn, microphone, microphoneOn, problems, starting } = this.#devices;
    const shown = cameraOn && camera ? camera : null;
    const current = /** @type {MediaStream|null} */ (this.#video.srcObject)?.getVideoTracks()[0] ?? null;
    if (current !== shown) this.#video.srcObject = shown ? new MediaStream([shown]) : null;
    this.#video.hidden = !shown;
    this.#off.textContent = shown ? "" : say(starting ? "previewStarting" : "previewOff");
    set(this.#microphone, microphoneOn, "mic", "micOff", say("mic"), say(microphoneOn ? "muteMicrophone" : "unmuteMicrophone"));
    set(this.#camera, cameraOn, "camera", "cameraOff", say("camera"), say(cameraOn ? "cameraOff" : "cameraOn"));
    this.#follow(microphoneOn ? microphone : null);
    this.#problems.replaceChildren(
      ...problems.map((problem) => make("p", { class: "problem" }, problem)),
      ...(problems.length > 0 ? [make("button", { type: "button", class: "quiet", onclick: () => void this.#devices.open() }, say("retry"))] : []),
    );
  }

  /** @param {MediaStreamTrack|null} track */
  #follow(track) {
    if (track === this.#followed) return;
    this.#followed = track;
    this.#stopLevel();
    this.#bars.dataset.level = "0";
    this.#stopLevel = track ? followLevel(track, (bars) => (this.#bars.dataset.level = String(bars))) : () => {};
  }

  /** Stops following the devices; the page shows something else now. */
  close() {
    this.#stopListening();
    this.#stopLevel();
  }
}

function toggle() {
  return make("button", { type: "button", class: "tool" });
}

/**
 * Shows a device button: off is red, struck through and said in words.
 * @param {HTMLButtonElement} button
 * @param {boolean} on
 * @param {import("./dom.js").Icon} onIcon
 * @param {import("./dom.js").Icon} offIcon
 * @param {string} label
 * @param {string} name what a press does
 */
export function set(button, on, onIcon, offIcon, label, name) {
  button.classList.toggle("off", !on);
  button.setAttribute("aria-pressed", String(!on));
  button.setAttribute("aria-label", name);
  button.title = name;
  button.replaceChildren(icon(on ? onIcon : offIcon), make("span", {}, label));
}
