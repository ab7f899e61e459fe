// What the host lets us publish, and what the host has muted: our own devices follow at once, it is
// said what happened, and once it is allowed again one click is enough.

import { say } from "../strings.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Source} from "../plenum/messages.js" */
/** @import {Phrase} from "../strings.js" */
/** @import {Devices, Input} from "./devices.js" */
/** @import {Toasts} from "./notices.js" */

/** How long the server may take to say what we have just told it: only then its word is the host's. */
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
  /** When a device was last switched by us. */
  #switchedAt = { camera: -ECHO_MS, microphone: -ECHO_MS };
  #wasOn = { camera: false, microphone: false };
  /** Own tracks that the host has muted. @type {Set<string>} */
  #muted = new Set();
  #timer = 0;
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
      this.#switchedAt[what] = performance.now();
      // A browser's question that was answered late.
      if (on && !connection.may(source)) void turn(devices, what, false);
      else if (on) this.#unmute(source);
    }
    this.#judgeMuted();
  }

  /** We turned on what the host had muted: that is ours to decide. @param {Source} source */
  #unmute(source) {
    const { connection } = this.#options;
    for (const { track, source: each } of connection.roster.own?.tracks.values() ?? []) {
      if (each !== source || !this.#muted.delete(track)) continue;
      const name = `rooms/${connection.room?.name}/tracks/${track}`;
      connection.command("SetTrackMuted", { name, muted: false }).catch(() => {});
    }
  }

  /** Whether the server holds a track of ours for muted that we hold for on. */
  #judgeMuted() {
    clearTimeout(this.#timer);
    const { connection, devices, toasts } = this.#options;
    if (connection.state !== "in") return;
    for (const [what, source] of WHAT) {
      if (what === "screen" || !isOn(devices, what) || !connection.may(source)) continue;
      const track = [...(connection.roster.own?.tracks.values() ?? [])].find((each) => each.source === source && each.muted);
      if (!track) continue;
      const wait = this.#switchedAt[what] + ECHO_MS - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#judgeMuted(), wait);
        continue;
      }
      this.#muted.add(track.track);
      toasts.show(say(phrasesOf(what).muted));
      void turn(devices, what, false);
    }
  }

  /** Follows nothing any more. */
  close() {
    clearTimeout(this.#timer);
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
