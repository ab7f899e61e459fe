// One's own picture before one is in: mirrored, with the two toggles and the level on it.

import { say } from "../strings.js";
import { fill, make } from "./dom.js";

/** @import {Devices} from "./devices.js" */

export class Preview {
  element;
  /** What is wrong with the devices, each with its Retry. */
  #problems = make("div", { class: "problems", role: "status" });
  #devices;
  #video = make("video", { autoplay: true, muted: true, playsInline: true, "aria-label": say("preview") });
  #off = make("p", { class: "preview-off" });
  #microphone = toggle();
  #camera = toggle();
  #bars = make("div", { class: "bars", role: "img", "aria-label": say("level"), "data-level": "0" }, ...Array.from({ length: 5 }, () => make("i")));
  #stop;

  /** @param {Devices} devices */
  constructor(devices) {
    this.#devices = devices;
    this.#microphone.onclick = () => void devices.setMicrophone(!devices.microphoneOn);
    this.#camera.onclick = () => void devices.setCamera(!devices.cameraOn);
    const picture = make(
      "section",
      { class: "preview", "aria-label": say("preview") },
      this.#video,
      this.#off,
      this.#bars,
      make("div", { class: "preview-bar" }, this.#microphone, this.#camera),
    );
    this.element = make("div", { class: "preview-side" }, picture, this.#problems);
    this.#stop = [
      devices.on("changed", () => this.#show()),
      devices.on("level", (bars) => (this.#bars.dataset.level = String(bars))),
    ];
    this.#show();
  }

  #show() {
    const { camera, cameraOn, isMirrored, microphoneOn, problems, starting } = this.#devices;
    const shown = cameraOn && camera ? camera : null;
    const current = /** @type {MediaStream|null} */ (this.#video.srcObject)?.getVideoTracks()[0] ?? null;
    if (current !== shown) this.#video.srcObject = shown ? new MediaStream([shown]) : null;
    this.#video.hidden = !shown;
    this.#video.classList.toggle("mirrored", isMirrored);
    this.#off.textContent = shown ? "" : say(starting ? "previewStarting" : "previewOff");
    set(this.#microphone, microphoneOn, "mic", "micOff", say("mic"), say(microphoneOn ? "muteMicrophone" : "unmuteMicrophone"));
    set(this.#camera, cameraOn, "camera", "cameraOff", say("camera"), say(cameraOn ? "cameraOff" : "cameraOn"));
    if (!microphoneOn) this.#bars.dataset.level = "0";
    this.#problems.replaceChildren(
      ...problems.map((problem) =>
        make(
          "p",
          { class: "problem" },
          make("span", {}, problem.text),
          make("button", { type: "button", class: "quiet", onclick: () => void this.#devices.retry(problem) }, say("retry")),
        ),
      ),
    );
  }

  /** Follows the devices no more. */
  close() {
    for (const stop of this.#stop) stop();
    this.#video.srcObject = null;
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
  fill(button, on ? onIcon : offIcon, label, name);
}
