// One stay in a room: one WebSocket and one RTCPeerConnection, from `join` until either is gone.
// It knows the messages and the negotiation; what outlives a stay is in connection.js.

import { Channels } from "./channels.js";
import { Emitter } from "./emitter.js";
import { Negotiation } from "./negotiation.js";

/** @import {Source, Welcome} from "./messages.js" */

/** The subprotocol, which is the version of the messages. */
const SUBPROTOCOL = "plenum.v1.json";

/**
 * What we send under one source name. Without a track the section only receives.
 * @typedef {{track: MediaStreamTrack|null, muted: boolean, codec: string|null}} LocalSource
 */

/** @typedef {{[field: string]: any, sequence: number}} ServerMessage */

/**
 * @extends {Emitter<{
 *   message: ServerMessage,
 *   lost: {code: number, reason: string, opened: boolean},
 *   transport: RTCPeerConnectionState,
 *   media: void,
 *   failed: unknown
 * }>}
 */
export class Stay extends Emitter {
  /** @readonly */
  pc;
  /** @readonly */
  channels;
  /** Server messages that did not carry the number after the last one. */
  sequenceGaps = 0;
  #socket;
  #negotiation;
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #transceivers = new Map();
  #streams = { user: new MediaStream(), screen: new MediaStream() };
  #sequence = 0;
  #closed = false;

  /**
   * @param {string} url of the socket
   * @param {{[field: string]: any}} join fields of the `join` message
   * @param {Map<Source, LocalSource>} sources
   */
  constructor(url, join, sources) {
    super();
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.channels = new Channels(this.pc);
    this.pc.addEventListener("connectionstatechange", () => {
      if (!this.#closed) this.emit("transport", this.pc.connectionState);
    });
    this.pc.addEventListener("track", () => this.emit("media", undefined));
    this.pc.addEventListener("signalingstatechange", () => {
      if (this.pc.signalingState === "stable") this.emit("media", undefined);
    });
    this.#negotiation = new Negotiation(this.pc, {
      send: (message) => this.send(message),
      announce: () => this.#announce(),
      fail: (error) => this.emit("failed", error),
    });
    for (const [source, local] of sources) {
      this.publish(source, local);
      if (local.muted && local.track?.kind === "video") this.replace(source, null);
    }
    this.#socket = new WebSocket(url, SUBPROTOCOL);
    void this.#join(join, sources);
  }

  /**
   * @param {{[field: string]: any}} join
   * @param {Map<Source, LocalSource>} sources
   */
  async #join(join, sources) {
    let opened = false;
    const open = new Promise((resolve) => {
      this.#socket.addEventListener("open", () => {
        opened = true;
        resolve(undefined);
      });
    });
    this.#socket.addEventListener("close", ({ code, reason }) => {
      if (!this.#closed) this.emit("lost", { code, reason, opened });
    });
    this.#socket.addEventListener("message", ({ data }) => this.#take(data, sources));
    try {
      const [description] = await Promise.all([this.#negotiation.firstOffer(), open]);
      this.send({ type: "join", ...join, description });
      this.#announce();
    } catch (error) {
      if (!this.#closed) this.emit("failed", error);
    }
  }

  /**
   * @param {unknown} text
   * @param {Map<Source, LocalSource>} sources
   */
  #take(text, sources) {
    if (this.#closed || typeof text !== "string") return;
    /** @type {ServerMessage} */
    const message = JSON.parse(text);
    if (message.sequence !== this.#sequence + 1) this.sequenceGaps += 1;
    this.#sequence = message.sequence;
    if (message.type === "welcome") this.#welcome(/** @type {any} */ (message), sources);
    if (message.type === "data" && typeof message.channel === "number") {
      this.channels.name(message.channel, message.from);
      return;
    }
    this.emit("message", message);
    if (message.description) void this.#negotiation.take(message.description);
  }

  /**
   * @param {Welcome} welcome
   * @param {Map<Source, LocalSource>} sources
   */
  #welcome(welcome, sources) {
    if (welcome.ice_servers?.length) {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: welcome.ice_servers });
    }
    for (const [source, { muted }] of sources) {
      if (muted) this.setMuted(source, true);
    }
  }

  /** Says which of our m-lines is which source. */
  #announce() {
    const tracks = [];
    for (const [source, { mid, direction }] of this.#transceivers) {
      if (mid !== null && direction === "sendrecv") tracks.push({ mid, source });
    }
    if (tracks.length > 0) this.send({ type: "tracks", tracks });
  }

  /** @param {object} message */
  send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /**
   * Starts, changes or stops what a source sends. The section stays and keeps receiving, so the
   * number of m-lines does not grow with each share.
   * @param {Source} source
   * @param {LocalSource} local
   */
  publish(source, { track, codec }) {
    const stream = source === "SCREEN" || source === "SCREEN_AUDIO" ? this.#streams.screen : this.#streams.user;
    const direction = track ? "sendrecv" : "recvonly";
    const known = this.#transceivers.get(source);
    if (known) {
      void known.sender.replaceTrack(track).catch((error) => this.emit("failed", error));
      if (known.direction !== direction) known.direction = direction;
      return;
    }
    const kind = source === "MICROPHONE" || source === "SCREEN_AUDIO" ? "audio" : "video";
    const transceiver = this.pc.addTransceiver(track ?? kind, { direction, streams: [stream] });
    if (codec && kind === "video") preferCodec(transceiver, codec);
    this.#transceivers.set(source, transceiver);
  }

  /**
   * Feeds another track into a section without negotiating: a device was changed, or a camera
   * is off for a while and nothing at all is sent.
   * @param {Source} source
   * @param {MediaStreamTrack|null} track
   */
  replace(source, track) {
    const sender = this.#transceivers.get(source)?.sender;
    void sender?.replaceTrack(track).catch((error) => this.emit("failed", error));
  }

  /**
   * Tells the room that a source of ours is muted; the server drops what still arrives.
   * @param {Source} source
   * @param {boolean} muted
   */
  setMuted(source, muted) {
    const transceiver = this.#transceivers.get(source);
    if (transceiver?.mid && transceiver.direction === "sendrecv") {
      this.send({ type: "mute", mid: transceiver.mid, muted });
    }
  }

  /**
   * True once a source has its own m-line that sends.
   * @param {Source} source
   */
  isPublished(source) {
    return this.#transceivers.get(source)?.direction === "sendrecv";
  }

  /**
   * The mid of one of our sources.
   * @param {Source} source
   */
  midOf(source) {
    return this.#transceivers.get(source)?.mid ?? null;
  }

  /**
   * What arrives in a section.
   * @param {string} mid
   * @returns {MediaStreamTrack|null}
   */
  received(mid) {
    const transceiver = this.pc.getTransceivers().find((each) => each.mid === mid);
    return transceiver?.receiver.track ?? null;
  }

  /** Ends the stay. Nothing is reported after this. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#negotiation.close();
    this.#socket.close(1000);
    this.pc.close();
  }
}

/**
 * Puts a codec first; the others stay, since the same section may receive them.
 * @param {RTCRtpTransceiver} transceiver
 * @param {string} name as in `video/NAME`
 */
function preferCodec(transceiver, name) {
  const all = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const wanted = `video/${name}`.toLowerCase();
  const first = all.filter(({ mimeType }) => mimeType.toLowerCase() === wanted);
  if (first.length === 0) return;
  transceiver.setCodecPreferences([...first, ...all.filter((codec) => !first.includes(codec))]);
}
