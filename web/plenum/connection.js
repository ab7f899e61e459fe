// A participant's way into a room, across every stay: joins, follows the room, goes on over a new
// socket where the old one died, and joins again under the same identity where that is refused.
// What the page and other programs use; docs/browser-library.md shows how.

import { Emitter } from "./emitter.js";
import { Refused, Requests } from "./requests.js";
import { Roster, participantOf } from "./roster.js";
import { Stay } from "./stay.js";

export { look } from "./lobby.js";
export { Refused } from "./requests.js";

/** @import {ChannelData, ChannelOptions} from "./channels.js" */
/** @import {DataMessage, HistoryMessage, Permissions, Room, Source, Speaker, Welcome, Wish} from "./messages.js" */
/** @import {Participant} from "./roster.js" */
/** @import {Lost, ServerMessage} from "./socket.js" */
/** @import {LocalSource} from "./stay.js" */

/**
 * - `idle`: not joined yet
 * - `joining`: asked to be let in
 * - `waiting`: a host has to let us in
 * - `in`
 * - `resuming`: the socket or the media is gone; trying to go on where it ended
 * - `rejoining`: that was refused or the server went away; trying to join anew, as who we were
 * - `left`, `refused`: over; `ended` said why
 * @typedef {"idle"|"joining"|"waiting"|"in"|"resuming"|"rejoining"|"left"|"refused"} State
 */

/**
 * Why it is over, or what went wrong: a LeaveReason or a Reason, with words where there are any.
 * `port`: the UDP port that cannot be reached, for `UDP_BLOCKED`.
 * @typedef {{reason: string, message: string, port?: number}} End
 */

/**
 * - `url`: of the socket, `wss://host/v1/connect`
 * - `room`: its id
 * - `token`: of a participant, or an invitation; none in development mode
 * - `getToken`: gives a fresh token when one is needed: without `token`, before the present one
 *   expires, and when it has
 * - `participant`: the id to ask for, where the token names none
 * - `codec`: the video codec to prefer, as in `video/NAME`
 * @typedef {{
 *   url: string, room: string, token?: string|null, getToken?: (() => Promise<string>)|null,
 *   participant?: string|null, displayName: string, metadata?: string,
 *   attributes?: {[key: string]: string}, codec?: string|null
 * }} ConnectionOptions
 */

/** What a participant may change about itself; an attribute of null goes.
 * @typedef {{
 *   display_name?: string, metadata?: string, attributes?: {[key: string]: string|null}
 * }} Update
 */

/** Tracks in one message. */
const WISHES_MAX = 256;
/** From one try to the next; the last one repeats for ever. Half of each is drawn at random. */
const RETRY_MS = [0, 300, 1_000, 2_000, 5_000];
/** An ICE restart that brought nothing back by then gives way to a new join. */
const RESTART_MS_MAX = 10_000;
/** Without a first path by then, UDP does not pass. */
const CONNECT_MS_MAX = 20_000;
/** Refusals that pass by themselves. */
const TRANSIENT = new Set(["NODE_DRAINING", "NODE_OVERLOADED", "STORE_UNAVAILABLE", "WATCHER_TOO_SLOW", "SERVER_FAILED"]);

/**
 * - `state`: as `State` says
 * - `roster`: who is there, what they publish, or what they said of themselves changed
 * - `media`: what `media(track)` answers may have changed
 * - `layers`: what we are given of the pictures, and why, changed
 * - `speakers`: who can be heard, loudest first
 * - `joined`: ids of those who came just now
 * - `data`: a message; `channel`: one that came by a data channel
 * - `history`: messages from before we came, oldest first; it replaces what was shown
 * - `room`, `permissions`: they changed, or we came in
 * - `waiting`: who waits to be let in; for admins
 * - `problem`: something went wrong and nothing ended
 * - `ended`: it is over
 * @extends {Emitter<{
 *   state: State, roster: void, media: void, layers: void, speakers: Speaker[], data: DataMessage,
 *   channel: ChannelData, joined: string[], history: HistoryMessage[], room: Room,
 *   permissions: Permissions, waiting: Participant[], problem: End, ended: End
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
  /** The room as it is now. @type {Room|null} */
  room = null;
  /** What we may do now. @type {Permissions|null} */
  permissions = null;
  /** What this server can do. @type {string[]} */
  features = [];
  /** Who waits to be let in, for admins. @type {Participant[]} */
  waitingParticipants = [];
  /** @type {Stay|null} */
  stay = null;
  #options;
  #token;
  /** @type {Map<Source, LocalSource>} */
  #sources = new Map();
  #requests = new Requests();
  /** What is received, told again after a join. @type {{all: boolean|null, tracks: Map<string, Wish>}} */
  #wishes = { all: null, tracks: new Map() };
  #tries = 0;
  /** When the last try began. */
  #triedAt = 0;
  /** Raised by everything that makes an answer still on its way one to forget. */
  #turn = 0;
  #renewed = false;
  #wasConnected = false;
  /** No socket; the present stay is to go on over another one. */
  #isLost = false;
  /** Proves to the server who we were, in a later stay. */
  #proof = "";
  #retryTimer = 0;
  #transportTimer = 0;
  #onOnline = () => this.#networkChanged();

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    this.#options = { ...options };
    this.#token = options.token ?? null;
    // Both sections exist from the first offer, so the server has where to send at once.
    this.#sources.set("MICROPHONE", { track: null, muted: false, codec: null });
    this.#sources.set("CAMERA", { track: null, muted: false, codec: options.codec ?? null });
  }

  /** Our own id, once the server has given or confirmed one. */
  get self() {
    return this.welcome?.participant ?? this.#options.participant ?? "";
  }

  /**
   * Whether we may publish a source; true before the server has said so.
   * @param {Source} source
   */
  may(source) {
    return this.permissions?.publish_sources.includes(source) ?? true;
  }

  /** Joins, and keeps us in until `leave` or an end the server states. */
  join() {
    if (this.state !== "idle" && this.state !== "left" && this.state !== "refused") return;
    this.#tries = 0;
    this.#renewed = false;
    window.addEventListener("online", this.#onOnline);
    this.#setState("joining", "");
    void this.#begin();
  }

  /** Tries at once instead of waiting for the next try. */
  retry() {
    clearTimeout(this.#retryTimer);
    if (this.state === "rejoining" || this.state === "joining") {
      this.#stop();
      void this.#begin();
    } else if (this.state === "resuming" && this.#isLost) {
      this.stay?.resume();
    }
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
   * Chooses what is received; what is not named of a track stays as wished before. It holds for
   * later stays too.
   * @param {{all?: boolean, tracks?: Wish[]}} wishes
   */
  subscribe({ all, tracks = [] }) {
    if (all !== undefined) this.#wishes.all = all;
    for (const wish of tracks) this.#wishes.tracks.set(wish.track, { ...this.#wishes.tracks.get(wish.track), ...wish });
    // The server takes each wish as a whole.
    const whole = new Set(tracks.map(({ track }) => track));
    this.#sendWishes(all, [...whole].flatMap((track) => this.#wishes.tracks.get(track) ?? []));
  }

  /**
   * Sends a value over the socket to everybody else, or to those named. `keep`: also to those who
   * come later.
   * @param {string} topic
   * @param {unknown} payload
   * @param {{to?: string[], keep?: boolean}} [options]
   * @returns {Promise<{recipient_count: number}>} rejects with a Refused where it did not go out
   */
  sendData(topic, payload, { to, keep } = {}) {
    return this.#ask({ type: "data", topic, payload, ...(to ? { to } : {}), ...(keep ? { keep } : {}) });
  }

  /**
   * Changes what the others see of us; what is not named stays.
   * @param {Update} changes
   * @returns {Promise<void>}
   */
  async update(changes) {
    await this.#ask({ type: "update", ...changes });
    const options = this.#options;
    if (changes.display_name !== undefined) options.displayName = changes.display_name;
    if (changes.metadata !== undefined) options.metadata = changes.metadata;
    const attributes = { ...options.attributes };
    for (const [key, value] of Object.entries(changes.attributes ?? {})) {
      if (value === null) delete attributes[key];
      else attributes[key] = value;
    }
    options.attributes = attributes;
  }

  /**
   * What an admin does to others, and everybody to own tracks: SetTrackMuted, UnpublishTrack,
   * RemoveParticipant, AdmitParticipant, UpdateParticipant, UpdateRoom, IssueToken.
   * @param {string} method of the gRPC API
   * @param {{[field: string]: any}} body its request in proto3 JSON, snake_case
   * @returns {Promise<any>} its response; rejects with a Refused
   */
  command(method, body) {
    return this.#ask({ type: "command", method, body });
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

  /** @param {{[field: string]: any}} message */
  #ask(message) {
    if (this.state !== "in" && this.state !== "resuming") {
      return Promise.reject(new Refused({ reason: "CONNECTION_LOST", message: "not in a room" }));
    }
    const most = this.welcome?.limits.message_bytes_max ?? Infinity;
    if (new TextEncoder().encode(JSON.stringify(message)).length + 80 > most) {
      return Promise.reject(new Refused({ reason: "LIMIT_EXCEEDED", message: `a message has at most ${most} bytes` }));
    }
    return this.#requests.ask(message, (full) => this.stay?.send(full) ?? false);
  }

  async #begin() {
    const turn = (this.#turn += 1);
    const { url, room, displayName, metadata, attributes, getToken } = this.#options;
    if (!this.#token && getToken) {
      const token = await getToken().catch(() => null);
      if (turn !== this.#turn) return;
      if (!token) {
        this.#again(this.cause);
        return;
      }
      this.#token = token;
    }
    const participant = this.welcome?.participant ?? this.#options.participant;
    const join = {
      room,
      ...(this.#token ? { token: this.#token } : {}),
      // A token names its bearer; without one the same id again replaces what is left of us.
      ...(participant && !this.#token ? { participant } : {}),
      // Proves that we are who was here, also where an invitation names nobody.
      ...(this.#proof ? { resume_token: this.#proof } : {}),
      display_name: displayName,
      ...(metadata ? { metadata } : {}),
      ...(attributes ? { attributes } : {}),
    };
    this.#wasConnected = false;
    this.#isLost = false;
    const stay = new Stay(url, join, this.#sources, this.welcome?.ice_servers ?? []);
    this.stay = stay;
    stay.on("message", (message) => this.#take(message));
    stay.on("media", () => this.emit("media", undefined));
    stay.on("transport", (state) => this.#transportChanged(state));
    stay.on("failed", (error) => {
      this.emit("problem", { reason: "SDP_INVALID", message: String(error) });
    });
    stay.on("lost", (lost) => this.#lost(lost));
    stay.on("resumed", () => this.#resumed());
    stay.channels.on("message", (message) => this.emit("channel", message));
  }

  /** @param {Lost} lost */
  #lost({ code, reason }) {
    // 4000 and above: the server refused and its words did not reach us.
    if (code >= 4_000 && reason) {
      this.#refuse({ reason, message: "" });
    } else if (this.stay?.canResume) {
      this.#resumeLater();
    } else {
      this.#again(this.cause);
    }
  }

  /** The socket is gone: another one goes on where it ended, after a wait. */
  #resumeLater() {
    this.#isLost = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#transportTimer);
    this.#setState("resuming", this.cause);
    this.#retryTimer = setTimeout(() => this.stay?.resume(), this.#wait());
  }

  /** On a new socket, with everything that was missed. */
  #resumed() {
    this.#isLost = false;
    this.#tries = 0;
    this.#proof = this.stay?.resumeToken ?? "";
    this.#tellWishes();
    this.#requests.repeat((message) => this.stay?.send(message) ?? false);
    if (this.state !== "resuming") return;
    this.stay?.restartIce();
    if (!this.#wasConnected || this.stay?.pc.connectionState === "connected") this.#setState("in", "");
    else this.#awaitTransport();
  }

  /** @param {ServerMessage} message */
  #take(message) {
    const any = /** @type {any} */ (message);
    switch (message.type) {
      case "welcome":
        this.#welcomed(any);
        return;
      case "snapshot":
        this.#takeRoster(any);
        // What was asked before may have been done or not.
        this.#requests.fail({ reason: "CONNECTION_LOST", message: "the answer was lost" });
        return;
      case "participants":
        this.roster.takeParticipants(any);
        this.emit("roster", undefined);
        if (any.joined) {
          this.emit("joined", any.joined.map((/** @type {any} */ { participant }) => participant));
        }
        return;
      case "tracks":
        this.#takeTracks(any);
        return;
      case "encodings":
        this.stay?.order(any.tracks);
        return;
      case "layers":
        this.roster.takeLayers(any);
        this.emit("layers", undefined);
        return;
      case "quality":
        this.roster.takeQuality(any);
        this.emit("roster", undefined);
        return;
      case "speakers":
        this.speakers = any.speakers;
        this.emit("speakers", any.speakers);
        return;
      case "data":
        this.emit("data", any);
        return;
      case "history":
        this.emit("history", any.messages);
        return;
      case "room":
        this.room = { ...any.room };
        this.emit("room", any.room);
        return;
      case "permissions":
        this.#takePermissions(any.permissions);
        return;
      case "waiting":
        this.#takeWaiting(any);
        return;
      case "reply":
        this.#requests.take(any);
        return;
      case "token_needed":
        void this.#renewToken();
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
    this.#proof = welcome.resume_token;
    this.features = welcome.features ?? [];
    this.#tries = 0;
    this.#renewed = false;
    this.waitingParticipants = [];
    this.speakers = [];
    this.#setState("in", "");
    this.#takeRoster(welcome);
    this.#tellWishes();
    if (!this.#wasConnected) this.#awaitFirstPath();
  }

  /** @param {Pick<Welcome, "room"|"permissions"|"own"|"participants">} message */
  #takeRoster({ room, permissions, own, participants }) {
    this.roster.reset(this.self, own ? [...participants, own] : participants);
    this.room = room;
    this.emit("room", room);
    this.#takePermissions(permissions);
    this.emit("roster", undefined);
    this.emit("media", undefined);
  }

  /** @param {Permissions} permissions */
  #takePermissions(permissions) {
    this.permissions = permissions;
    this.stay?.permit(permissions.publish_sources);
    this.emit("permissions", permissions);
  }

  /** @param {any} message */
  #takeTracks(message) {
    this.roster.takeTracks(message);
    for (const track of message.unpublished ?? []) this.#wishes.tracks.delete(track);
    this.emit("roster", undefined);
    this.emit("media", undefined);
  }

  /** @param {any} message */
  #takeWaiting(message) {
    if (message.participant) {
      this.#tries = 0;
      this.#setState("waiting", "");
      return;
    }
    this.waitingParticipants = message.participants.map(participantOf);
    this.emit("waiting", this.waitingParticipants);
  }

  /** A later stay receives what this one did; of tracks, those that are still there. */
  #tellWishes() {
    const there = new Set();
    for (const { tracks } of this.roster.participants.values()) {
      for (const track of tracks.keys()) there.add(track);
    }
    const { all, tracks } = this.#wishes;
    for (const track of tracks.keys()) {
      if (!there.has(track)) tracks.delete(track);
    }
    if (all !== null || tracks.size > 0) this.#sendWishes(all ?? undefined, [...tracks.values()]);
  }

  /**
   * @param {boolean|undefined} all
   * @param {Wish[]} tracks
   */
  #sendWishes(all, tracks) {
    this.stay?.send({ type: "subscribe", ...(all === undefined ? {} : { all }), tracks: tracks.slice(0, WISHES_MAX) });
    if (tracks.length > WISHES_MAX) this.#sendWishes(undefined, tracks.slice(WISHES_MAX));
  }

  /** The present token ends soon: a fresh one lets us come back later too. */
  async #renewToken() {
    const token = await this.#options.getToken?.().catch(() => null);
    if (!token) return;
    this.#token = token;
    this.stay?.send({ type: "token", token });
  }

  /** @param {{reason: string, action: "STOP"|"REJOIN", message?: string}} message */
  #left({ reason, action, message }) {
    if (action === "REJOIN") this.#again(reason);
    else this.#end("left", { reason, message: message ?? "" });
  }

  /** @param {End} error */
  #refuse({ reason, message, port }) {
    // A resume is refused where too much time has passed, or by a server that has started anew.
    const isResume = this.#isLost && this.state === "resuming";
    if (TRANSIENT.has(reason)) {
      if (isResume) this.#resumeLater();
      else this.#again(reason);
    } else if (isResume) {
      this.#tries = 0;
      this.#again("");
    } else if (reason === "TOKEN_EXPIRED" && this.#options.getToken && !this.#renewed) {
      this.#renewed = true;
      this.#token = null;
      this.#again(this.cause);
    } else {
      this.#end("refused", { reason, message, ...(port ? { port } : {}) });
    }
  }

  /** @param {RTCPeerConnectionState} state */
  #transportChanged(state) {
    if (state === "connected") {
      this.#wasConnected = true;
      clearTimeout(this.#transportTimer);
      if (this.state === "resuming" && !this.#isLost) this.#setState("in", "");
    } else if (this.#wasConnected && (state === "disconnected" || state === "failed")) {
      this.stay?.suspect();
      this.#restart();
    }
  }

  #networkChanged() {
    if (this.state === "in" || (this.state === "resuming" && !this.#isLost)) {
      this.stay?.suspect();
      this.stay?.restartIce();
    } else {
      this.retry();
    }
  }

  /** Media is silent while the socket lives: new credentials, new addresses. */
  #restart() {
    if (this.#isLost || (this.state !== "in" && this.state !== "resuming")) return;
    this.stay?.restartIce();
    if (this.state === "resuming") return;
    this.#setState("resuming", "");
    this.#awaitTransport();
  }

  /** What an ICE restart does not bring back in time, a new join does. */
  #awaitTransport() {
    clearTimeout(this.#transportTimer);
    this.#transportTimer = setTimeout(() => {
      if (this.state === "resuming" && !this.#isLost) this.#again("");
    }, RESTART_MS_MAX);
  }

  #awaitFirstPath() {
    clearTimeout(this.#transportTimer);
    this.#transportTimer = setTimeout(() => {
      if (this.#wasConnected || this.#isLost) return;
      const port = this.#serverPort();
      this.#refuse({ reason: "UDP_BLOCKED", message: port, port: Number(port) });
    }, CONNECT_MS_MAX);
  }

  /** Milliseconds before the next try. What the last one took counts: a dead network takes long. */
  #wait() {
    const pause = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)] ?? 0;
    this.#tries += 1;
    const now = performance.now();
    const drawn = pause / 2 + (Math.random() * pause) / 2;
    const wait = Math.max(0, drawn - (now - this.#triedAt));
    this.#triedAt = now + wait;
    return wait;
  }

  /**
   * Joins once more, after a wait.
   * @param {string} cause
   */
  #again(cause) {
    this.#stop();
    this.#requests.fail({ reason: "CONNECTION_LOST", message: "the answer was lost" });
    const wait = this.#wait();
    this.#setState(this.welcome ? "rejoining" : "joining", cause);
    this.#retryTimer = setTimeout(() => void this.#begin(), wait);
  }

  #stop() {
    this.#turn += 1;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#transportTimer);
    this.stay?.close();
    this.stay = null;
    this.#isLost = false;
  }

  /**
   * @param {"left"|"refused"} state
   * @param {End} end
   */
  #end(state, end) {
    this.#stop();
    window.removeEventListener("online", this.#onOnline);
    this.#requests.fail({ reason: "CONNECTION_LOST", message: "not in a room any more" });
    this.roster.reset(this.self, []);
    this.#setState(state, end.reason);
    this.emit("ended", end);
  }

  /**
   * @param {State} state
   * @param {string} cause
   */
  #setState(state, cause) {
    if (this.state === state && this.cause === cause) return;
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
