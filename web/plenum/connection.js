// A participant's way into a room, across every stay: joins, follows the room, brings media back
// by an ICE restart while the socket lives, and joins again under the same identity when it
// does not. What the page and other programs use.

import { Emitter } from "./emitter.js";
import { Roster } from "./roster.js";
import { Stay } from "./stay.js";

/** @import {ChannelData, ChannelOptions} from "./channels.js" */
/** @import {DataMessage, Source, Speaker, Welcome, Wish} from "./messages.js" */
/** @import {LocalSource, ServerMessage} from "./stay.js" */

/** @typedef {"idle"|"joining"|"in"|"resuming"|"rejoining"|"left"|"refused"} State */
/** @typedef {{reason: string, message: string}} End */

/**
 * @typedef {{
 *   url: string, room: string, token?: string|null, participant?: string|null,
 *   displayName: string, codec?: string|null
 * }} ConnectionOptions
 */

/** Waits before one more try to join; the last one repeats. Half of each is drawn at random. */
const RETRY_MS = [0, 300, 1_000, 2_000, 5_000];
/** An ICE restart that brought nothing back by then gives way to a new join. */
const RESUME_MS_MAX = 10_000;
/** Without a first path by then, UDP does not pass. */
const CONNECT_MS_MAX = 20_000;
/** Refusals that pass by themselves; a socket that was read too slowly is one to open again. */
const TRANSIENT = new Set(["NODE_DRAINING", "NODE_OVERLOADED", "STORE_UNAVAILABLE", "WATCHER_TOO_SLOW"]);

/**
 * @extends {Emitter<{
 *   state: State, roster: void, media: void, speakers: Speaker[], data: DataMessage,
 *   channel: ChannelData, joined: string[], problem: End, ended: End
 * }>}
 */
export class Connection extends Emitter {
  /** @type {State} */
  state = "idle";
  /** Why we are out, or being brought back: a LeaveReason or Reason. */
  cause = "";
  roster = new Roster();
  /** @type {Speaker[]} */
  speakers = [];
  /** @type {Welcome|null} */
  welcome = null;
  /** @type {Stay|null} */
  stay = null;
  #options;
  /** @type {Map<Source, LocalSource>} */
  #sources = new Map();
  #tries = 0;
  #wasConnected = false;
  #retryTimer = 0;
  #transportTimer = 0;
  #onOnline = () => this.#networkChanged();

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    this.#options = { ...options };
    // Both sections exist from the first offer, so the server has where to send at once.
    this.#sources.set("MICROPHONE", { track: null, muted: false, codec: null });
    this.#sources.set("CAMERA", { track: null, muted: false, codec: options.codec ?? null });
  }

  /** Our own id, once the server has given or confirmed one. */
  get self() {
    return this.welcome?.participant ?? this.#options.participant ?? "";
  }

  /** Joins, and keeps us in until `leave` or an end the server states. */
  join() {
    if (this.state !== "idle" && this.state !== "left" && this.state !== "refused") return;
    this.#tries = 0;
    window.addEventListener("online", this.#onOnline);
    this.#setState("joining", "");
    this.#begin();
  }

  /** Tries at once instead of waiting for the next try. */
  retry() {
    if (this.state !== "rejoining" && this.state !== "joining") return;
    this.#stop();
    this.#begin();
  }

  /** Says goodbye and ends everything. */
  leave() {
    this.stay?.send({ type: "leave" });
    this.#end("left", { reason: "LEFT_ITSELF", message: "" });
  }

  /**
   * Publishes a track, or with null stops publishing this source.
   * @param {Source} source
   * @param {MediaStreamTrack|null} track
   */
  publish(source, track) {
    const old = this.#sources.get(source);
    const local = { track, muted: false, codec: old?.codec ?? this.#options.codec ?? null };
    this.#sources.set(source, local);
    this.stay?.publish(source, local);
    // Stopped sources need no section in a later stay; microphone and camera keep theirs.
    if (!track && source !== "MICROPHONE" && source !== "CAMERA") this.#sources.delete(source);
  }

  /**
   * Puts another device behind a source that is published already.
   * @param {Source} source
   * @param {MediaStreamTrack} track
   */
  replace(source, track) {
    const local = this.#sources.get(source);
    if (!local?.track) {
      this.publish(source, track);
      return;
    }
    local.track = track;
    if (!local.muted || track.kind === "audio") this.stay?.replace(source, track);
  }

  /**
   * Mutes or unmutes a source of ours. A muted camera sends nothing at all; a muted microphone
   * sends silence, so that unmuting is instant.
   * @param {Source} source
   * @param {boolean} muted
   */
  setMuted(source, muted) {
    const local = this.#sources.get(source);
    if (!local?.track) return;
    local.muted = muted;
    local.track.enabled = !muted;
    if (local.track.kind === "video") this.stay?.replace(source, muted ? null : local.track);
    this.stay?.setMuted(source, muted);
  }

  /**
   * Chooses what is received.
   * @param {{all?: boolean, tracks?: Wish[]}} wishes
   */
  subscribe(wishes) {
    this.stay?.send({ type: "subscribe", ...wishes });
  }

  /**
   * Sends a value over the socket to everybody else, or to those named.
   * @param {string} topic
   * @param {unknown} payload
   * @param {string[]} [to]
   * @returns {boolean} false where there is no socket to send it by
   */
  sendData(topic, payload, to) {
    if (!this.stay || (this.state !== "in" && this.state !== "resuming")) return false;
    this.stay.send({ type: "data", topic, payload, ...(to ? { to } : {}) });
    return true;
  }

  /**
   * Opens a data channel; null while there is no transport.
   * @param {string} topic
   * @param {ChannelOptions} [options]
   */
  openChannel(topic, options) {
    return this.stay?.channels.open(topic, options) ?? null;
  }

  /**
   * The media of a track of somebody else.
   * @param {string} track
   * @returns {MediaStreamTrack|null}
   */
  media(track) {
    const mid = this.roster.midOf(track);
    return mid === null ? null : (this.stay?.received(mid) ?? null);
  }

  #begin() {
    const { url, room, token, displayName } = this.#options;
    const participant = this.welcome?.participant ?? this.#options.participant;
    const join = {
      room,
      ...(token ? { token } : {}),
      // A token names its bearer; without one the same id again replaces what is left of us.
      ...(participant && !token ? { participant } : {}),
      // Proves that we are who was here, also where an invitation names nobody.
      ...(this.welcome ? { resume_token: this.welcome.resume_token } : {}),
      display_name: displayName,
    };
    this.#wasConnected = false;
    const stay = new Stay(url, join, this.#sources);
    this.stay = stay;
    stay.on("message", (message) => this.#take(message));
    stay.on("media", () => this.emit("media", undefined));
    stay.on("transport", (state) => this.#transportChanged(state));
    stay.on("failed", (error) => {
      this.emit("problem", { reason: "SDP_INVALID", message: String(error) });
    });
    stay.on("lost", ({ code, reason }) => {
      // 4000 and above: the server refused and its words did not reach us.
      if (code >= 4000 && reason) this.#refuse({ reason, message: "" });
      else this.#again(this.cause);
    });
    stay.channels.on("message", (message) => this.emit("channel", message));
  }

  /** @param {ServerMessage} message */
  #take(message) {
    const any = /** @type {any} */ (message);
    switch (message.type) {
      case "welcome":
        this.#welcomed(any);
        return;
      case "participants":
        this.roster.takeParticipants(any);
        this.emit("roster", undefined);
        if (any.joined) {
          this.emit("joined", any.joined.map((/** @type {any} */ { participant }) => participant));
        }
        return;
      case "tracks":
        this.roster.takeTracks(any);
        this.emit("roster", undefined);
        this.emit("media", undefined);
        return;
      case "speakers":
        this.speakers = any.speakers;
        this.emit("speakers", any.speakers);
        return;
      case "data":
        this.emit("data", any);
        return;
      case "leave":
        this.#left(any);
        return;
      case "error":
        // Without a first agreement there is no transport and none will come.
        if (any.fatal || (any.reason.startsWith("SDP_") && !this.#wasConnected)) this.#refuse(any);
        else this.emit("problem", { reason: any.reason, message: any.message });
        return;
      default: // A newer server may say more than we know.
    }
  }

  /** @param {Welcome} welcome */
  #welcomed(welcome) {
    this.welcome = welcome;
    this.#tries = 0;
    this.roster.reset(welcome.participant, welcome.participants);
    this.speakers = [];
    this.#setState("in", "");
    clearTimeout(this.#transportTimer);
    this.#transportTimer = setTimeout(() => {
      if (!this.#wasConnected) this.#refuse({ reason: "UDP_BLOCKED", message: this.#serverPort() });
    }, CONNECT_MS_MAX);
    this.emit("roster", undefined);
  }

  /** @param {{reason: string, action: "STOP"|"REJOIN", message?: string}} message */
  #left({ reason, action, message }) {
    if (action === "REJOIN") this.#again(reason);
    else this.#end("left", { reason, message: message ?? "" });
  }

  /** @param {End} error */
  #refuse({ reason, message }) {
    if (TRANSIENT.has(reason)) this.#again(reason);
    else this.#end("refused", { reason, message });
  }

  /** @param {RTCPeerConnectionState} state */
  #transportChanged(state) {
    if (state === "connected") {
      this.#wasConnected = true;
      clearTimeout(this.#transportTimer);
      if (this.state === "resuming") this.#setState("in", "");
    } else if (this.#wasConnected && (state === "disconnected" || state === "failed")) {
      this.#resume();
    }
  }

  #networkChanged() {
    if (this.state === "in") this.stay?.pc.restartIce();
    else this.retry();
  }

  /** Media is silent while the socket lives: new credentials, new addresses. */
  #resume() {
    if (this.state !== "in" && this.state !== "resuming") return;
    this.stay?.pc.restartIce();
    if (this.state === "resuming") return;
    this.#setState("resuming", "");
    clearTimeout(this.#transportTimer);
    this.#transportTimer = setTimeout(() => {
      if (this.state === "resuming") this.#again("");
    }, RESUME_MS_MAX);
  }

  /**
   * Joins once more, after a wait.
   * @param {string} cause
   */
  #again(cause) {
    this.#stop();
    const wait = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)] ?? 0;
    this.#tries += 1;
    this.#setState(this.welcome ? "rejoining" : "joining", cause);
    this.#retryTimer = setTimeout(() => this.#begin(), wait / 2 + (Math.random() * wait) / 2);
  }

  #stop() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#transportTimer);
    this.stay?.close();
    this.stay = null;
  }

  /**
   * @param {"left"|"refused"} state
   * @param {End} end
   */
  #end(state, end) {
    this.#stop();
    window.removeEventListener("online", this.#onOnline);
    this.roster.reset(this.self, []);
    this.#setState(state, end.reason);
    this.emit("ended", end);
  }

  /**
   * @param {State} state
   * @param {string} cause
   */
  #setState(state, cause) {
    this.state = state;
    this.cause = cause;
    this.emit("state", state);
  }

  /** The port the server wants us to reach, for the sentence that says we could not. */
  #serverPort() {
    const sdp = this.stay?.pc.remoteDescription?.sdp ?? "";
    return /a=candidate:\S+ 1 udp \d+ \S+ (\d+)/i.exec(sdp)?.[1] ?? "";
  }
}
