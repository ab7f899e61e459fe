// What is asked of the server: each picture as large as it is shown, and none that nobody sees.

/** @import {Connection} from "../plenum/connection.js" */

/** A picture that is not shown is paused after this long: pages are turned back and forth. */
const PAUSE_MS = 2_000;
/** Sizes change while a window is dragged; the server is told of the first, and once it rests. */
const SETTLE_MS = 300;
/** A picture is asked for in steps of so many lines, so that a pixel more asks for nothing. */
const STEP = 20;

export class Wants {
  #connection;
  /** Lines wanted of each track that is shown. @type {Map<string, number>} */
  #shown = new Map();
  /** Tracks there are. @type {Set<string>} */
  #all = new Set();
  /** Since when a track has not been shown. @type {Map<string, number>} */
  #hiddenSince = new Map();
  /** What the server was told. @type {Map<string, {paused: boolean, height: number}>} */
  #told = new Map();
  #timer = 0;
  #toldAt = -SETTLE_MS;
  #onVisibility = () => this.#schedule(0);
  #off;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#off = connection.on("state", () => this.#schedule(0));
  }

  /**
   * @param {Iterable<string>} all every video track there is
   * @param {Map<string, number>} shown lines in CSS pixels of each that is on the page
   */
  show(all, shown) {
    this.#all = new Set(all);
    this.#shown = shown;
    const now = performance.now();
    for (const track of this.#all) {
      if (shown.has(track)) this.#hiddenSince.delete(track);
      else if (!this.#hiddenSince.has(track)) this.#hiddenSince.set(track, now);
    }
    for (const gone of [this.#hiddenSince, this.#told]) {
      for (const track of [...gone.keys()]) if (!this.#all.has(track)) gone.delete(track);
    }
    // Who makes one tile large shall not wait for it.
    this.#schedule(now - this.#toldAt > 2 * SETTLE_MS ? 0 : SETTLE_MS);
  }

  /** @param {number} wait */
  #schedule(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), wait);
  }

  #tell() {
    if (this.#connection.state !== "in") return;
    const now = performance.now();
    const isHidden = document.visibilityState === "hidden";
    let next = Infinity;
    const tracks = [];
    for (const track of this.#all) {
      const since = this.#hiddenSince.get(track);
      const wait = since === undefined ? 0 : since + PAUSE_MS - now;
      // Not shown, but not for long: as it was.
      if (!isHidden && since !== undefined && wait > 0) {
        next = Math.min(next, wait);
        continue;
      }
      const paused = isHidden || since !== undefined;
      const lines = Math.ceil((this.#shown.get(track) ?? 0) * (window.devicePixelRatio || 1) / STEP) * STEP;
      const height = paused ? 0 : Math.min(4_320, lines);
      const told = this.#told.get(track);
      if (told?.paused === paused && told.height === height) continue;
      this.#told.set(track, { paused, height });
      // Only what changes: a picture that somebody else paused stays so when its tile is made smaller.
      tracks.push({ track, ...(paused === (told?.paused ?? false) ? {} : { paused }), height });
    }
    if (tracks.length > 0) {
      this.#toldAt = now;
      this.#connection.subscribe({ tracks });
    }
    if (next < Infinity) this.#schedule(next + 10);
  }

  /** Asks no more. */
  close() {
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#off();
  }
}
