// Our voice twice (RED, RFC 2198) where packets of it get lost on the way up: each then carries a
// copy of the one before. It costs as much again as the voice, so only there.

/** How often what got lost is read. */
const READ_MS = 1_000;
/** What is judged, in readings: the present one and those before. */
const WINDOW = 10;
/** Fewer lost packets than this are chance. */
const LOST_MIN = 5;
/** Copies begin above this share of loss. */
const BEGIN = 0.02;
/** They end once it has been below this for so many readings: each change is an exchange of
 * descriptions. */
const END = 0.005;
const HOLD = 30;

/** Judges readings of what was sent and lost of it. Pure. */
export class Losses {
  /** Whether copies are worth their price. */
  isLossy = false;
  /** @type {{sent: number, lost: number}[]} */
  #readings = [];
  /** Readings without loss, in a row. */
  #quiet = 0;

  /**
   * @param {number} sent packets so far
   * @param {number} lost of them, as the other side last said
   * @returns {boolean} whether `isLossy` changed
   */
  read(sent, lost) {
    const last = this.#readings.at(-1);
    // Another encoder counts from nothing.
    if (last && (sent < last.sent || lost < last.lost)) this.#readings = [];
    this.#readings.push({ sent, lost });
    if (this.#readings.length > WINDOW + 1) this.#readings.shift();
    const first = /** @type {{sent: number, lost: number}} */ (this.#readings[0]);
    const gone = lost - first.lost;
    const share = sent > first.sent ? gone / (sent - first.sent) : 0;
    this.#quiet = share < END ? this.#quiet + 1 : 0;
    if (!this.isLossy && gone >= LOST_MIN && share > BEGIN) this.isLossy = true;
    else if (this.isLossy && this.#quiet >= HOLD) this.isLossy = false;
    else return false;
    return true;
  }
}

/**
 * Puts RED before Opus, or behind it, in what an offer of ours will say; false where the browser
 * knows no RED. An encoder changes with the exchange of descriptions that follows, and not by
 * `setParameters` (tried in Chromium 156).
 * @param {RTCRtpTransceiver} transceiver
 * @param {boolean} isFirst
 */
export function preferRed(transceiver, isFirst) {
  const codecs = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
  const isRed = (/** @type {{mimeType: string}} */ { mimeType }) => mimeType.toLowerCase() === "audio/red";
  const [red, rest] = [codecs.filter(isRed), codecs.filter((codec) => !isRed(codec))];
  if (red.length === 0) return false;
  // Without copies the browser's own order, which has Opus first.
  transceiver.setCodecPreferences(isFirst ? [...red, ...rest] : codecs);
  return true;
}

/** Looks at one voice for as long as it lasts, and says when it should be sent otherwise. */
export class Redundancy {
  #losses = new Losses();
  /** What `changed` was told last, and could act on. */
  #told = false;
  #timer;

  /**
   * @param {() => RTCRtpSender|undefined} sender of the voice, while there is one
   * @param {(isLossy: boolean) => void} changed it may throw, and is told again then
   */
  constructor(sender, changed) {
    const look = async () => {
      const found = sender();
      if (!found?.track) return;
      const counted = await read(found);
      if (!counted) return;
      this.#losses.read(counted.sent, counted.lost);
      const { isLossy } = this.#losses;
      if (isLossy === this.#told) return;
      changed(isLossy);
      this.#told = isLossy;
    };
    // What a browser does not tell is no loss; what it does not take now it may take later.
    this.#timer = setInterval(() => void look().catch(() => {}), READ_MS);
  }

  /** Looks no more. */
  close() {
    clearInterval(this.#timer);
  }
}

/** @param {RTCRtpSender} sender */
async function read(sender) {
  let sent = 0;
  /** @type {number|undefined} */
  let lost;
  for (const row of (await sender.getStats()).values()) {
    if (row.type === "outbound-rtp") sent = row.packetsSent ?? 0;
    if (row.type === "remote-inbound-rtp") lost = row.packetsLost ?? 0;
  }
  return lost === undefined ? null : { sent, lost };
}
