// How well others arrive, in three bars: what the server says of their connection, and what getStats
// says every two seconds of ours.

import { StatisticsReader } from "../plenum/statistics.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {ConnectionQuality} from "../plenum/messages.js" */

const READ_MS = 2_000;
/** One bar from here on: percent lost, milliseconds there and back. */
const BAD = { loss: 8, rtt: 500 };
/** Two bars from here on. */
const FAIR = { loss: 2, rtt: 200 };

/** @typedef {1|2|3} Bars */

/** @type {{[quality in ConnectionQuality]: Bars}} */
const BARS = { GOOD: 3, FAIR: 2, POOR: 1, LOST: 1 };

/**
 * What somebody's tile shows: the worse of how they are connected and how they arrive here. Where
 * our own connection is not good, that is why they arrive as they do, and none of their doing.
 * @param {ConnectionQuality} quality theirs, as the server says
 * @param {Bars|undefined} arriving none: nothing of theirs does
 * @param {ConnectionQuality} own
 * @returns {Bars|undefined}
 */
export function barsShown(quality, arriving, own) {
  const bars = BARS[quality];
  if (arriving === undefined) return bars === 3 ? undefined : bars;
  return own === "GOOD" && arriving < bars ? arriving : bars;
}

/**
 * @param {number} lossPercent
 * @param {number} rttMs
 * @returns {Bars}
 */
export function barsOf(lossPercent, rttMs) {
  if (lossPercent > BAD.loss || rttMs > BAD.rtt) return 1;
  return lossPercent > FAIR.loss || rttMs > FAIR.rtt ? 2 : 3;
}

export class Quality {
  /** By participant. @type {Map<string, Bars>} */
  bars = new Map();
  #connection;
  #reader = new StatisticsReader();
  #timer;

  /**
   * @param {Connection} connection
   * @param {() => void} changed
   */
  constructor(connection, changed) {
    this.#connection = connection;
    this.#timer = setInterval(() => void this.#read().then((isNew) => isNew && changed()), READ_MS);
  }

  async #read() {
    const { stay, state, roster } = this.#connection;
    if (!stay || state !== "in" || document.visibilityState === "hidden") return false;
    const { transport, tracks } = await this.#reader.read(stay.pc);
    /** @type {Map<string, number>} */
    const losses = new Map();
    for (const { way, mid, lossPercent } of tracks) {
      const owner = way === "in" ? ownerOf(roster, roster.sections.get(mid)) : undefined;
      if (owner !== undefined) losses.set(owner, Math.max(lossPercent, losses.get(owner) ?? 0));
    }
    const before = JSON.stringify([...this.bars]);
    this.bars.clear();
    for (const [owner, loss] of losses) this.bars.set(owner, barsOf(loss, transport.rttMs ?? 0));
    return JSON.stringify([...this.bars]) !== before;
  }

  /** Reads no more. */
  close() {
    clearInterval(this.#timer);
  }
}

/**
 * @param {import("../plenum/roster.js").Roster} roster
 * @param {string|null|undefined} track
 */
function ownerOf(roster, track) {
  if (!track) return undefined;
  for (const { participant, tracks } of roster.participants.values()) {
    if (tracks.has(track)) return participant;
  }
  return undefined;
}
