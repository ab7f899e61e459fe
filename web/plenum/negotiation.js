// Perfect negotiation (W3C webrtc §10.7), the polite side: an offer of the server that meets
// ours wins, ours is rolled back and made again once the signaling state is stable.

export class Negotiation {
  #pc;
  #send;
  #announce;
  #fail;
  /** Descriptions are taken one after the other: an answer is made before the next is looked at. */
  #queue = Promise.resolve();
  #closed = false;
  /** Something is to be said that no event tells of; and the offer that is out says it. */
  #isDue = false;
  #isSaid = false;
  #isOffering = false;

  /**
   * @param {RTCPeerConnection} pc
   * @param {{
   *   send: (message: {description: RTCSessionDescriptionInit}) => void,
   *   announce: () => void,
   *   fail: (error: unknown) => void
   * }} options `announce` is called right before each offer leaves: mids are known by then.
   */
  constructor(pc, { send, announce, fail }) {
    this.#pc = pc;
    this.#send = send;
    this.#announce = announce;
    this.#fail = fail;
  }

  /**
   * Makes the first offer, which travels inside `join`, and from then on offers by itself.
   * @returns {Promise<RTCSessionDescriptionInit>}
   */
  async firstOffer() {
    await this.#pc.setLocalDescription();
    this.#pc.addEventListener("negotiationneeded", () => void this.#offer());
    this.#pc.addEventListener("signalingstatechange", () => this.#offerDue());
    return plain(this.#pc.localDescription);
  }

  async #offer() {
    if (this.#isOffering) return;
    this.#isOffering = true;
    const isDue = this.#isDue;
    try {
      await this.#pc.setLocalDescription();
      this.#isSaid = isDue;
      // A server offer that came in between has rolled ours back: there is nothing to send,
      // and `negotiationneeded` fires again when the state is stable.
      if (this.#closed || this.#pc.signalingState !== "have-local-offer") return;
      this.#announce();
      this.#send({ description: plain(this.#pc.localDescription) });
    } catch (error) {
      if (!this.#closed) this.#fail(error);
    } finally {
      this.#isOffering = false;
    }
  }

  /**
   * Offers anew: codecs are in another order now, of which browsers tell no `negotiationneeded`
   * (W3C webrtc §4.7.3 looks at directions and sections only).
   */
  renew() {
    this.#isDue = true;
    this.#offerDue();
  }

  /** An offer of the server's that came in between took ours back: it is made again. */
  #offerDue() {
    if (this.#isDue && !this.#closed && this.#pc.signalingState === "stable") void this.#offer();
  }

  /**
   * Takes a description of the server.
   * @param {RTCSessionDescriptionInit} description
   * @returns {Promise<void>}
   */
  take(description) {
    this.#queue = this.#queue.then(() => this.#apply(description)).catch((error) => {
      if (!this.#closed) this.#fail(error);
    });
    return this.#queue;
  }

  /** @param {RTCSessionDescriptionInit} description */
  async #apply(description) {
    if (this.#closed) return;
    // An answer to an offer that was rolled back meanwhile has nothing to answer any more.
    if (description.type === "answer" && this.#pc.signalingState !== "have-local-offer") return;
    if (description.type === "rollback" && this.#pc.signalingState === "stable") return;
    // Said before the state is stable again, which would say it once more.
    if (description.type === "answer" && this.#isSaid) this.#isDue = this.#isSaid = false;
    await this.#pc.setRemoteDescription(description);
    if (description.type !== "offer" || this.#closed) return;
    await this.#pc.setLocalDescription();
    this.#send({ description: plain(this.#pc.localDescription) });
  }

  /**
   * After a resume: whatever offer of ours is under way got no answer and will not get one, so it
   * is taken back and made again, with new ICE credentials.
   */
  restart() {
    this.#queue = this.#queue.then(async () => {
      if (this.#closed) return;
      if (this.#pc.signalingState === "have-local-offer") await this.#pc.setLocalDescription({ type: "rollback" });
      this.#pc.restartIce();
    }).catch((error) => {
      if (!this.#closed) this.#fail(error);
    });
  }

  /** Nothing is sent or reported after this. */
  close() {
    this.#closed = true;
  }
}

/**
 * @param {RTCSessionDescription|null} description
 * @returns {RTCSessionDescriptionInit}
 */
function plain(description) {
  if (!description) throw new Error("no local description");
  return { type: description.type, sdp: description.sdp };
}
