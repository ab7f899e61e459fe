// Sharing a screen: choosing, taking over, text or motion, and the end, whoever ends it.

import { say } from "../strings.js";
import { confirmed } from "./dialog.js";
import { preference, prefer } from "./preferences.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Participant} from "../plenum/roster.js" */

/** Text is sharp at few pictures a second; motion needs them. */
const RATE = { detail: 15, motion: 30 };

export class Share {
  /** Called where a share began or ended. */
  onchange = () => {};
  #connection;
  #presenter;
  #fail;
  /** @type {MediaStream|null} */
  #screen = null;
  #isClosed = false;

  /**
   * @param {{connection: Connection, presenter: () => Participant|null, fail: (words: string) => void}} options
   *   `presenter`: who else presents now
   */
  constructor({ connection, presenter, fail }) {
    this.#connection = connection;
    this.#presenter = presenter;
    this.#fail = fail;
  }

  /** Whether this browser can share at all. */
  static get isSupported() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  get isOn() {
    return this.#screen !== null;
  }

  /** The picture that is shared. */
  get picture() {
    return this.#screen?.getVideoTracks()[0] ?? null;
  }

  get prefersMotion() {
    return preference("share") === "motion";
  }

  /** @param {boolean} isMotion */
  set prefersMotion(isMotion) {
    prefer("share", isMotion ? "motion" : "detail");
    this.#hint();
    // What it is sent with goes by the hint.
    if (this.picture) this.#connection.replace("SCREEN", this.picture);
  }

  async toggle() {
    if (this.#screen) {
      this.stop();
      return;
    }
    const other = this.#presenter();
    if (other && !(await confirmed(say("takeOver", other.displayName), "", say("share")))) return;
    await this.#start();
  }

  async #start() {
    const frameRate = { ideal: this.prefersMotion ? RATE.motion : RATE.detail, max: RATE.motion };
    /** @type {MediaStream} */
    let screen;
    try {
      screen = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate }, audio: true });
    } catch (error) {
      // NotAllowedError: closed the chooser, which needs no word of ours.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") this.#fail(say("sharingFailed"));
      return;
    }
    // The chooser may have stood open for minutes: the host took the permission away meanwhile, the
    // meeting is over, or it was opened twice.
    if (this.#isClosed || this.#screen || !this.#connection.may("SCREEN")) {
      for (const track of screen.getTracks()) track.stop();
      if (!this.#isClosed && !this.#screen) this.#fail(say("screenDenied"));
      return;
    }
    this.#screen = screen;
    const [sound] = screen.getAudioTracks();
    const picture = this.picture;
    if (picture) {
      this.#hint();
      // The browser's own "Stop sharing".
      picture.addEventListener("ended", () => this.stop());
      this.#connection.publish("SCREEN", picture);
    }
    if (sound && this.#connection.may("SCREEN_AUDIO")) this.#connection.publish("SCREEN_AUDIO", sound);
    this.onchange();
  }

  #hint() {
    if (this.picture) this.picture.contentHint = this.prefersMotion ? "motion" : "detail";
  }

  stop() {
    if (!this.#screen) return;
    const hadSound = this.#screen.getAudioTracks().length > 0;
    for (const track of this.#screen.getTracks()) track.stop();
    this.#screen = null;
    this.#connection.publish("SCREEN", null);
    if (hadSound) this.#connection.publish("SCREEN_AUDIO", null);
    this.onchange();
  }

  /** Ends without a word: the connection is over. */
  close() {
    this.#isClosed = true;
    for (const track of this.#screen?.getTracks() ?? []) track.stop();
    this.#screen = null;
  }
}
