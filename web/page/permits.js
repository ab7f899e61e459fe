// What the host lets us publish, and what the host has muted: our own devices follow at once, it is
// said what happened, and once it is allowed again one click is enough.

import { say } from "../strings.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Source} from "../plenum/messages.js" */
/** @import {Phrase} from "../strings.js" */
/** @import {Devices, Input} from "./devices.js" */
/** @import {Toasts} from "./notices.js" */

/** How long the server may take to say that a track is not muted any more, once it has granted it. */
const ECHO_MS = 2_000;

/** @type {["camera"|"microphone"|"screen", Source][]} */
const WHAT = [["camera", "CAMERA"], ["microphone", "MICROPHONE"], ["screen", "SCREEN"]];
/** @type {{[what: string]: {denied: Phrase, revoked: Phrase, granted: Phrase, muted: Phrase}}} */
const PHRASES = {
  camera: { denied: "cameraDenied", revoked: "cameraRevoked", granted: "cameraGranted", muted: "cameraMuted" },
  microphone: { denied: "microphoneDenied", revoked: "microphoneRevoked", granted: "microphoneGranted", muted: "microphoneMuted" },
  screen: { denied: "screenDenied", revoked: "screenRevoked", granted: "screenGranted", muted: "screenRevoked" },
};

/**
 * `share`: the screen that is shared, if any.
 * @typedef {{
 *   connection: Connection, devices: Devices, toasts: Toasts,
 *   share: {isOn: boolean, stop: () => void}
 * }} PermitsOptions
 */

export class Permits {
  /** Called where something may be done now that could not, or the other way round. */
  onchange = () => {};
  #options;
  /** What was allowed when last looked; null before we were in. @type {Set<Source>|null} */
  #allowed = null;
  /** Whether we could receive. */
  #receives = true;
  #wasOn = { camera: false, microphone: false };
  /** Own tracks whose mute by the host we are taking back. @type {Set<string>} */
  #unmuting = new Set();
  /** The sound of our screen is muted by the host, and that has been said. */
  #isScreenMuted = false;
  /** @type {Set<number>} */
  #timers = new Set();
  #off;

  /** @param {PermitsOptions} options */
  constructor(options) {
    this.#options = options;
    const { connection, devices } = options;
    this.#off = [
      connection.on("permissions", () => this.#permissionsChanged()),
      connection.on("roster", () => this.#judgeMuted()),
      devices.on("changed", () => this.#devicesChanged()),
    ];
    this.#devicesChanged();
  }

  /** @param {Source} source */
  may(source) {
    return this.#options.connection.may(source);
  }

  /**
   * Whether something may be turned on; says so where not.
   * @param {"camera"|"microphone"|"screen"} what
   */
  ask(what) {
    const source = WHAT.find(([each]) => each === what)?.[1];
    const may = source === undefined || this.may(source);
    if (!may) this.#options.toasts.show(say(phrasesOf(what).denied));
    return may;
  }

  #permissionsChanged() {
    const { connection, toasts } = this.#options;
    const sources = new Set(connection.permissions?.publish_sources ?? []);
    const before = this.#allowed;
    this.#allowed = sources;
    for (const [what, source] of WHAT) {
      const may = sources.has(source);
      const could = before?.has(source) ?? true;
      if (may && !could) this.#granted(what);
      if (!may && could) this.#denied(what, before !== null);
    }
    const receives = connection.permissions?.subscribe ?? true;
    if (receives !== this.#receives) toasts.show(say(receives ? "receivingGranted" : "receivingDenied"));
    this.#receives = receives;
    this.onchange();
  }

  /** @param {"camera"|"microphone"|"screen"} what */
  #granted(what) {
    const { devices, toasts } = this.#options;
    const words = say(phrasesOf(what).granted);
    if (what === "screen") toasts.show(words);
    else toasts.show(words, { label: say(what === "camera" ? "turnOn" : "unmute"), run: () => void turn(devices, what, true) });
  }

  /**
   * @param {"camera"|"microphone"|"screen"} what
   * @param {boolean} wasAllowed it could be done in this meeting until now
   */
  #denied(what, wasAllowed) {
    const { devices, share, toasts } = this.#options;
    const phrases = phrasesOf(what);
    const wasOn = what === "screen" ? share.isOn : isOn(devices, what);
    if (what === "screen") share.stop();
    else if (wasOn) void turn(devices, what, false);
    // Who has it off and comes in learns it where they try to turn it on.
    if (wasOn || wasAllowed) toasts.show(say(wasOn && wasAllowed ? phrases.revoked : phrases.denied));
  }

  #devicesChanged() {
    const { connection, devices } = this.#options;
    for (const [what, source] of WHAT) {
      if (what === "screen") continue;
      const on = isOn(devices, what);
      if (on === this.#wasOn[what]) continue;
      this.#wasOn[what] = on;
      // A browser's question that was answered late.
      if (on && !connection.may(source)) void turn(devices, what, false);
      else if (on) this.#unmute(source);
    }
    this.#judgeMuted();
  }

  /**
   * The server's mute of an own track, if there is one. It is not the one we told it of ourselves:
   * that may be on its way for long.
   * @param {Source} source
   */
  #mutedByHost(source) {
    const own = this.#options.connection.roster.own?.tracks.values() ?? [];
    return [...own].find((track) => track.source === source && track.server_muted);
  }

  /** We turned on what the host had muted: that is ours to decide. @param {Source} source */
  #unmute(source) {
    const { connection } = this.#options;
    const track = this.#mutedByHost(source)?.track;
    if (track === undefined || this.#unmuting.has(track)) return;
    this.#unmuting.add(track);
    const done = () => {
      this.#unmuting.delete(track);
      this.#judgeMuted();
    };
    const name = `rooms/${connection.room?.name}/tracks/${track}`;
    connection.command("SetTrackMuted", { name, muted: false }).then(() => this.#later(done), done);
  }

  /** @param {() => void} run */
  #later(run) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ECHO_MS);
    this.#timers.add(timer);
  }

  /** Whether the host has muted what is on here. */
  #judgeMuted() {
    const { connection, devices, toasts } = this.#options;
    if (connection.state !== "in") return;
    for (const [what, source] of WHAT) {
      if (what === "screen" || !isOn(devices, what) || !connection.may(source)) continue;
      const track = this.#mutedByHost(source)?.track;
      if (track === undefined || this.#unmuting.has(track)) continue;
      toasts.show(say(phrasesOf(what).muted));
      void turn(devices, what, false);
    }
    const isScreenMuted = connection.may("SCREEN_AUDIO") && this.#mutedByHost("SCREEN_AUDIO") !== undefined;
    if (isScreenMuted && !this.#isScreenMuted) toasts.show(say("screenSoundMuted"));
    this.#isScreenMuted = isScreenMuted;
  }

  /** Follows nothing any more. */
  close() {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const off of this.#off) off();
  }
}

/** @param {"camera"|"microphone"|"screen"} what */
function phrasesOf(what) {
  return /** @type {{denied: Phrase, revoked: Phrase, granted: Phrase, muted: Phrase}} */ (PHRASES[what]);
}

/** @param {Devices} devices @param {Input} what */
function isOn(devices, what) {
  return what === "camera" ? devices.cameraOn && devices.camera !== null : devices.microphoneOn && devices.microphone !== null;
}

/** @param {Devices} devices @param {Input} what @param {boolean} on */
function turn(devices, what, on) {
  return what === "camera" ? devices.setCamera(on) : devices.setMicrophone(on);
}
