// Data channels: the label is the topic; a protocol of the form `to:ada` makes the channel private
// to that one participant. Each sender's channel arrives as one of ours with the same label,
// protocol and reliability; a `data` message says whose it is by its SCTP stream id.

import { Emitter } from "./emitter.js";

/** Messages kept of a channel whose sender is not known yet: the two arrive by different ways. */
const UNKNOWN_SENDER_MESSAGES_MAX = 256;

/** What a private channel's protocol begins with. */
const PRIVATE = "to:";
/** An id of our own that neither side draws for itself: browsers and server count from 0. */
const SECTION_STREAM = 1_000;

/** @typedef {{topic: string, from: string, to: string|null, payload: string|ArrayBuffer}} ChannelData */
/** @typedef {{to?: string, ordered?: boolean, maxRetransmits?: number, maxPacketLifeTime?: number}} ChannelOptions */

/** @extends {Emitter<{message: ChannelData, closed: {topic: string, from: string|null}}>} */
export class Channels extends Emitter {
  #pc;
  /** @type {Map<number, string>} */
  #senders = new Map();
  /** @type {Map<number, (string|ArrayBuffer)[]>} */
  #early = new Map();
  /** Open channels that carry somebody else's messages, by their SCTP stream id.
   * @type {Map<number, RTCDataChannel>} */
  incoming = new Map();

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    super();
    this.#pc = pc;
    pc.addEventListener("datachannel", ({ channel }) => this.#take(channel));
    // Never used: it puts the data section into the first offer, so that channels of others
    // arrive without a further round of negotiation.
    pc.createDataChannel("", { negotiated: true, id: SECTION_STREAM });
  }

  /**
   * Opens a channel to the room, or to one participant with `to`.
   * @param {string} topic
   * @param {ChannelOptions} [options]
   * @returns {RTCDataChannel}
   */
  open(topic, { to = "", ...reliability } = {}) {
    const protocol = to === "" ? "" : PRIVATE + to;
    const channel = this.#pc.createDataChannel(topic, { ...reliability, protocol });
    channel.binaryType = "arraybuffer";
    return channel;
  }

  /**
   * The server says whose messages a channel carries.
   * @param {number} id
   * @param {string} from
   */
  name(id, from) {
    this.#senders.set(id, from);
    const channel = this.incoming.get(id);
    if (!channel) return;
    for (const payload of this.#early.get(id) ?? []) this.#deliver(channel, from, payload);
    this.#early.delete(id);
  }

  /** @param {RTCDataChannel} channel */
  #take(channel) {
    const id = channel.id;
    if (id === null) return;
    channel.binaryType = "arraybuffer";
    this.incoming.set(id, channel);
    channel.addEventListener("message", ({ data }) => {
      const from = this.#senders.get(id);
      if (from !== undefined) {
        this.#deliver(channel, from, data);
        return;
      }
      const early = this.#early.get(id) ?? [];
      if (early.length < UNKNOWN_SENDER_MESSAGES_MAX) early.push(data);
      this.#early.set(id, early);
    });
    channel.addEventListener("close", () => {
      this.emit("closed", { topic: channel.label, from: this.#senders.get(id) ?? null });
      this.incoming.delete(id);
      this.#senders.delete(id);
      this.#early.delete(id);
    });
  }

  /**
   * @param {RTCDataChannel} channel
   * @param {string} from
   * @param {string|ArrayBuffer} payload
   */
  #deliver(channel, from, payload) {
    const { label: topic, protocol } = channel;
    const to = protocol.startsWith(PRIVATE) ? protocol.slice(PRIVATE.length) : null;
    this.emit("message", { topic, from, to, payload });
  }
}
