// Which pictures stood still, and whose doing it was: counts of frames that a viewer has decoded
// beside those that their sender has sent. Knows no clock and no browser.

/** Counts of a sender kept: a minute of looks. */
const SENT_KEPT = 300;
/** A picture that stands longer is frozen, if its sender went on. */
const FROZEN_MS = 1_000;
/** The first picture needs an agreement and a key frame. */
const FIRST_MS = 5_000;
/** What was sent by then has had the time to arrive and be decoded. */
const ARRIVED_MS = 500;
/** So many frames are a picture that moves. */
const MOVES = 3;

/**
 * `changed`: when another frame was last seen; `stands`: what the present standstill counts as.
 * @typedef {{
 *   frames: number, changed: number, looked: number, frozen: number, starved: number,
 *   longest: number, stands: ""|"starved"|"frozen"
 * }} Tile
 */

export class Standstills {
  /** By "Ada sees Lin". @type {Map<string, Tile>} */
  tiles = new Map();
  /** Until then nothing is counted, by name; "" for all. @type {Map<string, number>} */
  #excused = new Map();
  /** By sender, oldest first. @type {Map<string, {at: number, frames: number}[]>} */
  #sent = new Map();
  #say;

  /** @param {(line: string) => void} say */
  constructor(say) {
    this.#say = say;
  }

  /**
   * What stands still before that has a reason; a name, or "" for everybody.
   * @param {string} name
   * @param {number} until
   */
  excuse(name, until) {
    this.#excused.set(name, until);
  }

  /**
   * Frames that somebody has sent by now.
   * @param {string} name
   * @param {number} frames
   * @param {number} now
   */
  sent(name, frames, now) {
    const counts = this.#sent.get(name) ?? [];
    this.#sent.set(name, [...counts, { at: now, frames }].slice(-SENT_KEPT));
  }

  /**
   * What one look of a viewer saw: every tile that is to move, with its frames.
   * @param {string} viewer
   * @param {{shown: string, frames: number}[]} seen
   * @param {{now: number, before: number}} times of this look and of the viewer's last one
   */
  look(viewer, seen, { now, before }) {
    for (const { shown, frames } of seen) this.#note(viewer, shown, frames, { now, before });
  }

  /** @param {string} viewer @param {string} shown @param {number} frames @param {{now: number, before: number}} times */
  #note(viewer, shown, frames, { now, before }) {
    const key = `${viewer} sees ${shown}`;
    const tile = this.tiles.get(key) ?? { frames: 0, changed: now, looked: now, frozen: 0, starved: 0, longest: 0, stands: "" };
    // A tile that the last look did not find has not stood still; how long ago that look was, under
    // load, says nothing.
    if (frames !== tile.frames || this.#isExcused(viewer, shown, now) || tile.looked < before) {
      tile.changed = now;
      tile.stands = "";
    } else if (now - tile.changed > (frames === 0 ? FIRST_MS : FROZEN_MS)) {
      tile.longest = Math.max(tile.longest, now - tile.changed);
      this.#judge(key, tile, this.#sentBetween(shown, tile.changed, now - ARRIVED_MS), now);
    }
    tile.frames = frames;
    tile.looked = now;
    this.tiles.set(key, tile);
  }

  /**
   * A sender that sends nothing either is starved, for as long as that is so: once it goes on, the
   * picture has to move.
   * @param {string} key @param {Tile} tile @param {number} sent @param {number} now
   */
  #judge(key, tile, sent, now) {
    if (tile.stands === "frozen") return;
    if (sent >= MOVES) {
      if (tile.stands === "starved") tile.starved -= 1;
      tile.frozen += 1;
      tile.stands = "frozen";
      this.#say(`${key}: stands still for ${Math.round(now - tile.changed)} ms, while ${sent} frames were sent`);
    } else if (tile.stands === "") {
      tile.starved += 1;
      tile.stands = "starved";
    }
  }

  /** @param {string} viewer @param {string} shown @param {number} now */
  #isExcused(viewer, shown, now) {
    return ["", viewer, shown].some((name) => (this.#excused.get(name) ?? -Infinity) > now);
  }

  /** Frames sent in that time. A new page counts from 0 again. @param {string} name @param {number} from @param {number} to */
  #sentBetween(name, from, to) {
    let sum = 0;
    /** @type {{at: number, frames: number}|null} */
    let last = null;
    for (const count of this.#sent.get(name) ?? []) {
      if (count.at > to) break;
      if (last !== null && count.at > from) sum += Math.max(0, count.frames - last.frames);
      last = count;
    }
    return sum;
  }
}
