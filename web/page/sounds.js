// The others' voices: an element for each, and a button where the browser wants a click first.

import { say } from "../strings.js";
import { icon, make } from "./dom.js";

/** @import {Devices} from "./devices.js" */

export class Sounds {
  /** Holds the elements, and the button. */
  element = make("div", { class: "sounds" });
  #devices;
  /** @type {Map<string, HTMLAudioElement>} */
  #sounds = new Map();
  #unblock = make("button", { type: "button", class: "primary unblock", hidden: true }, icon("sound"), say("clickToHear"));

  /** @param {Devices} devices */
  constructor(devices) {
    this.#devices = devices;
    this.#unblock.addEventListener("click", () => {
      this.#unblock.hidden = true;
      for (const sound of this.#sounds.values()) void sound.play().catch(() => {});
    });
    this.element.append(this.#unblock);
  }

  /** @param {Map<string, MediaStreamTrack|null>} wanted by track; null: there, but not arriving */
  show(wanted) {
    for (const [track, sound] of this.#sounds) {
      if (wanted.has(track)) continue;
      sound.srcObject = null;
      sound.remove();
      this.#sounds.delete(track);
    }
    const heard = new Set(wanted.values());
    for (const [track, media] of wanted) {
      if (media) this.#hear(track, media);
      else this.#yield(track, heard);
    }
  }

  /**
   * In a large room another voice may have taken the place of this one: heard twice, it would be
   * louder. Until then its element goes on: what arrives again is heard at once.
   * @param {string} track
   * @param {Set<MediaStreamTrack|null>} heard
   */
  #yield(track, heard) {
    const sound = this.#sounds.get(track);
    const current = /** @type {MediaStream|null} */ (sound?.srcObject)?.getAudioTracks()[0];
    if (sound && current && heard.has(current)) sound.srcObject = null;
  }

  /**
   * @param {string} track
   * @param {MediaStreamTrack} media
   */
  #hear(track, media) {
    let sound = this.#sounds.get(track);
    if (!sound) {
      sound = make("audio", { autoplay: true, "data-track": track });
      this.#sounds.set(track, sound);
      this.#devices.route(sound);
      this.element.append(sound);
    }
    const current = /** @type {MediaStream|null} */ (sound.srcObject)?.getAudioTracks()[0];
    if (current === media) return;
    sound.srcObject = new MediaStream([media]);
    sound.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#unblock.hidden = false;
    });
  }

  /** Lets go of everything. */
  close() {
    for (const sound of this.#sounds.values()) sound.srcObject = null;
  }
}
