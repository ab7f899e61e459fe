// Choosing camera, microphone and speaker, in the lobby and in the settings.

import { say } from "../strings.js";
import { play } from "./chime.js";
import { make } from "./dom.js";

/** @import {Device, Devices, Kind} from "./devices.js" */

export class Pickers {
  element;
  #devices;
  #selects;
  #test = make("button", { type: "button", class: "test-speaker" }, say("testSpeaker"));
  #off;

  /**
   * @param {Devices} devices
   * @param {string} prefix of the ids, since two may stand on one page
   */
  constructor(devices, prefix) {
    this.#devices = devices;
    /** @type {Kind[]} */
    const kinds = ["camera", "microphone", "speaker"];
    this.#selects = kinds.map((kind) => {
      const select = make("select", {
        id: `${prefix}-${kind}`,
        onchange: () => void devices.choose(kind, select.value),
      });
      const row = make("div", { class: "picker" }, make("label", { for: select.id }, say(kind)), select);
      return { kind, select, row };
    });
    this.#test.onclick = () => void this.#testSpeaker();
    this.element = make("div", { class: "pickers" }, ...this.#selects.map(({ row }) => row), this.#test);
    this.#off = devices.on("changed", () => this.#draw());
    this.#draw();
  }

  #draw() {
    for (const { kind, select, row } of this.#selects) {
      const found = this.#devices.all.filter((device) => device.kind === kind);
      // A browser that cannot choose a speaker lists none.
      row.hidden = kind === "speaker" && (found.length === 0 || !("setSinkId" in HTMLMediaElement.prototype));
      const drawn = JSON.stringify(found.map(({ id, label }) => [id, label]));
      if (select.dataset.drawn !== drawn) {
        select.dataset.drawn = drawn;
        select.replaceChildren(...(found.length > 0 ? found.map(option) : [make("option", { value: "" }, say("noDevice"))]));
        select.disabled = found.length === 0;
      }
      const chosen = this.#devices.chosen(kind);
      if (found.some(({ id }) => id === chosen)) select.value = chosen;
    }
  }

  async #testSpeaker() {
    const audio = new AudioContext();
    const into = audio.createMediaStreamDestination();
    const sound = make("audio", { srcObject: into.stream });
    this.#devices.route(sound);
    this.#test.disabled = true;
    this.#test.textContent = say("testingSpeaker");
    await sound.play().catch(() => {});
    play(audio, into);
    setTimeout(() => {
      this.#test.disabled = false;
      this.#test.textContent = say("testSpeaker");
      void audio.close();
    }, 1_000);
  }

  /** Follows the devices no more. */
  close() {
    this.#off();
  }
}

/**
 * @param {Device} device
 * @param {number} index
 */
function option({ id, label, kind }, index) {
  return make("option", { value: id }, label || `${say(kind)} ${index + 1}`);
}
