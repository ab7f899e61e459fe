// One stay in a room: one RTCPeerConnection, from `join` until it is given up, over one WebSocket
// after the other. It knows the messages' order and the negotiation; what outlives a stay is in
// connection.js.

import { Channels } from "./channels.js";
import { Emitter } from "./emitter.js";
import { Negotiation } from "./negotiation.js";
import { Redundancy, preferRed } from "./redundancy.js";
import { encodingsOf, setEncodings } from "./rungs.js";
import { Socket } from "./socket.js";

/** @import {Source, Welcome} from "./messages.js" */
/** @import {Lost, ServerMessage} from "./socket.js" */

/** Addresses that are remembered as refused; further ones are not told of. */
const REFUSED_URLS_MAX = 64;

/**
 * What we send under one source name. Without a track the section only receives.
 * @typedef {{track: MediaStreamTrack|null, muted: boolean, codec: string|null}} LocalSource
 */

/**
 * - `message`: of the server, in order
 * - `resumed`: a new socket goes on where the last one ended, and all that was missed has been told
 * - `lost`: the socket is gone; `resume` opens another
 * @extends {Emitter<{
 *   message: ServerMessage, resumed: void, lost: Lost,
 *   transport: RTCPeerConnectionState, media: void, failed: unknown
 * }>}
 */
export class Stay extends Emitter {
  /** @readonly */
  pc;
  /** @readonly */
  channels;
  /** Server messages that did not carry the number after the last one. */
  sequenceGaps = 0;
  /** @type {Socket} */
  #socket;
  #url;
  #sources;
  #negotiation;
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #transceivers = new Map();
  /** Rids the server has use for; none: it has not said. @type {Map<Source, Set<string>>} */
  #wanted = new Map();
  /** The last change of each sender. @type {Map<Source, Promise<void>>} */
  #changes = new Map();
  #streams = { user: new MediaStream(), screen: new MediaStream() };
  #sequence = 0;
  /** The proof for the next resume; none before we are in or waiting. */
  #resumeToken = "";
  /** Messages that are still to come of those we missed. */
  #missed = 0;
  /** We had to be admitted: what was said of our m-lines before was passed over. */
  #waited = false;
  #redundancy;
  #closed = false;
  /** STUN and TURN servers in use, as JSON. */
  #servers;
  /** Addresses of servers the browser did not take: said once. @type {Set<string>} */
  #refusedUrls = new Set();
  /** What we may publish; null until it was said. @type {Set<Source>|null} */
  #permitted = null;

  /**
   * @param {string} url of the socket
   * @param {{[field: string]: any}} join fields of the `join` message
   * @param {Map<Source, LocalSource>} sources
   * @param {RTCIceServer[]} iceServers as the last stay was told them
   */
  constructor(url, join, sources, iceServers) {
    super();
    this.#url = url;
    this.#sources = sources;
    this.#servers = JSON.stringify(iceServers);
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#configure(iceServers);
    this.channels = new Channels(this.pc);
    this.pc.addEventListener("connectionstatechange", () => {
      if (!this.#closed) this.emit("transport", this.pc.connectionState);
    });
    this.pc.addEventListener("track", () => this.emit("media", undefined));
    this.pc.addEventListener("signalingstatechange", () => {
      if (this.pc.signalingState === "stable") this.emit("media", undefined);
    });
    this.#negotiation = new Negotiation(this.pc, {
      send: (message) => void this.send(message),
      announce: () => this.#announce(),
      fail: (error) => this.emit("failed", error),
    });
    for (const [source, local] of sources) {
      this.publish(source, local);
      if (local.muted && local.track?.kind === "video") this.replace(source, null);
    }
    this.#redundancy = new Redundancy(
      () => (this.isPublished("MICROPHONE") ? this.#transceivers.get("MICROPHONE")?.sender : undefined),
      (isLossy) => this.#sayTwice(isLossy),
    );
    this.#socket = new Socket(url);
    this.#follow(this.#socket);
    void this.#join(this.#socket, join);
  }

  /** @param {boolean} isLossy packets of our voice get lost on the way */
  #sayTwice(isLossy) {
    const voice = this.#transceivers.get("MICROPHONE");
    if (voice && preferRed(voice, isLossy)) this.#negotiation.renew();
  }

  /**
   * @param {Socket} socket
   * @param {{[field: string]: any}} join
   */
  async #join(socket, join) {
    const open = new Promise((resolve) => socket.on("open", () => resolve(undefined)));
    try {
      const [description] = await Promise.all([this.#negotiation.firstOffer(), open]);
      socket.send({ type: "join", ...join, description });
      this.#announce();
    } catch (error) {
      if (!this.#closed) this.emit("failed", error);
    }
  }

  /** @param {Socket} socket */
  #follow(socket) {
    socket.on("message", (message) => {
      if (socket === this.#socket) this.#take(message);
    });
    socket.on("lost", (lost) => {
      if (socket === this.#socket && !this.#closed) this.emit("lost", lost);
    });
  }

  /** Whether there is something to resume. */
  get canResume() {
    return this.#resumeToken !== "";
  }

  /** The proof that we are who was here, for a join that takes our place over. */
  get resumeToken() {
    return this.#resumeToken;
  }

  /** Opens another socket and goes on there. `resumed` or `lost` follows, or a fatal `error`. */
  resume() {
    this.#socket.close();
    this.#missed = 0;
    const socket = new Socket(this.#url);
    this.#socket = socket;
    this.#follow(socket);
    socket.on("open", () => {
      socket.send({ type: "resume", resume_token: this.#resumeToken, sequence: this.#sequence });
    });
  }

  /** @param {ServerMessage} message */
  #take(message) {
    if (this.#closed || message.type === "pong") return;
    if (message.type === "resumed") {
      this.#resumeToken = message.resume_token;
      // A restart of ICE follows, which gathers with them.
      this.useServers(message.ice_servers);
      // Where it does not go on behind our last one, a fresh roster follows instead.
      this.#sequence = message.sequence;
      this.#missed = message.missed;
      if (this.#missed === 0) this.#resumed();
      return;
    }
    this.#count(message);
    if (message.type === "waiting" && message.participant) this.#waited = true;
    // What is gathered stays good; the next restart of ICE asks by these.
    if (message.type === "ice_servers") this.useServers(message.ice_servers);
    const gathersAnew = message.type === "welcome" && this.#welcome(/** @type {any} */ (message));
    if (message.type === "data" && typeof message.channel === "number") {
      this.channels.name(message.channel, message.from);
    } else {
      this.emit("message", message);
    }
    if (message.description) void this.#negotiation.take(message.description);
    // Our first offer left before we were told of any server, so none was asked yet. What is gathered
    // now goes by another offer (RFC 9429 §4.1.18), behind the answer to the first.
    if (gathersAnew) this.restartIce();
    if (this.#missed > 0 && (this.#missed -= 1) === 0) this.#resumed();
  }

  /** @param {ServerMessage} message */
  #count(message) {
    // The last word of a socket, which may have been refused before it had anything to go on with.
    if (message.type === "error" && message.fatal) return;
    if (message.sequence !== this.#sequence + 1) this.sequenceGaps += 1;
    this.#sequence = message.sequence;
  }

  /** What we said last may not have arrived: it is said again. */
  #resumed() {
    this.#announce();
    for (const [source, { muted, track }] of this.#sources) {
      if (track) this.setMuted(source, muted);
    }
    this.emit("resumed", undefined);
  }

  /** New ICE credentials, new addresses; DTLS and SRTP live on. */
  restartIce() {
    this.#negotiation.restart();
  }

  /** The network may be gone: the socket is asked now. */
  suspect() {
    this.#socket.suspect();
  }

  /**
   * Takes STUN and TURN servers for the next gathering; true where they are others than before.
   * @param {RTCIceServer[]} [iceServers]
   */
  useServers(iceServers = []) {
    const servers = JSON.stringify(iceServers);
    if (servers === this.#servers) return false;
    this.#servers = servers;
    return this.#configure(iceServers);
  }

  /**
   * Sets the servers the browser takes, and leaves out those it does not: without them there may
   * still be a way. True where any were set.
   * @param {RTCIceServer[]} iceServers
   */
  #configure(iceServers) {
    const left = [...iceServers];
    /** @type {RTCIceServer[]} */
    const taken = [];
    for (let server = left.shift(); server !== undefined; server = left.shift()) {
      const { urls, ...rest } = server;
      try {
        this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: [...taken, server] });
        taken.push(server);
      } catch (error) {
        // One address of several is enough for a browser to take none.
        if (Array.isArray(urls) && urls.length > 1) left.unshift(...urls.map((url) => ({ ...rest, urls: url })));
        else this.#refuse(String(urls), error);
      }
    }
    if (taken.length === 0) this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: [] });
    return taken.length > 0;
  }

  /**
   * The browser does not take an address: with each new password it is told again, and we are not.
   * @param {string} url
   * @param {unknown} error
   */
  #refuse(url, error) {
    if (this.#refusedUrls.has(url) || this.#refusedUrls.size >= REFUSED_URLS_MAX) return;
    this.#refusedUrls.add(url);
    this.emit("failed", error);
  }

  /**
   * True where ICE has to gather anew.
   * @param {Welcome} welcome
   */
  #welcome(welcome) {
    this.#resumeToken = welcome.resume_token;
    const isNew = this.useServers(welcome.ice_servers);
    if (this.#waited) this.#announce();
    this.#waited = false;
    for (const [source, { muted }] of this.#sources) {
      if (muted) this.setMuted(source, true);
    }
    return isNew;
  }

  /**
   * What may be published changed. One source that may not be makes the server refuse all that are
   * named with it, so they are named anew.
   * @param {Source[]} sources
   */
  permit(sources) {
    const before = this.#permitted;
    this.#permitted = new Set(sources);
    const own = [...this.#transceivers.keys()];
    if (own.some((source) => (before?.has(source) ?? true) !== this.#permitted?.has(source))) this.#announce();
  }

  /** Says which of our m-lines is which source. */
  #announce() {
    const tracks = [];
    for (const [source, { mid, direction }] of this.#transceivers) {
      const may = this.#permitted?.has(source) ?? true;
      if (may && mid !== null && direction === "sendrecv") tracks.push({ mid, source });
    }
    if (tracks.length > 0) this.send({ type: "tracks", tracks });
  }

  /**
   * Sends, or says that there is no socket to send by.
   * @param {object} message
   */
  send(message) {
    return this.#socket.send(message);
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
      this.replace(source, track);
      if (known.direction !== direction) known.direction = direction;
      return;
    }
    const kind = source === "MICROPHONE" || source === "SCREEN_AUDIO" ? "audio" : "video";
    const sendEncodings = kind === "video" ? encodingsOf(source, track) : [];
    const transceiver = this.pc.addTransceiver(track ?? kind, { direction, streams: [stream], sendEncodings });
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
    if (!sender) return;
    void this.#change(source, async () => {
      await sender.replaceTrack(track);
      if (track?.kind === "video") await setEncodings(sender, encodingsOf(source, track, this.#wanted.get(source)));
    });
  }

  /**
   * Encodes of our pictures the sizes somebody has use for, and no others.
   * @param {{mid: string, rids: string[]}[]} tracks
   */
  order(tracks) {
    for (const [source, { mid, sender }] of this.#transceivers) {
      const rids = tracks.find((each) => each.mid === mid)?.rids;
      if (!rids) continue;
      this.#wanted.set(source, new Set(rids));
      // Without a picture there is no size to go by; it is set when there is one again.
      void this.#change(source, async () => {
        const { track } = sender;
        if (track) await setEncodings(sender, encodingsOf(source, track, this.#wanted.get(source)));
      });
    }
  }

  /**
   * Changes of a sender one after the other: what it is set to has to be read anew before each.
   * @param {Source} source
   * @param {() => Promise<void>} change
   */
  #change(source, change) {
    const turn = (this.#changes.get(source) ?? Promise.resolve()).then(change).catch((error) => {
      if (!this.#closed) this.emit("failed", error);
    });
    this.#changes.set(source, turn);
    return turn;
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
    this.#redundancy.close();
    this.#negotiation.close();
    this.#socket.close();
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
