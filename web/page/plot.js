// A line of the last minute: 160 × 32, with the least and the most beside it.

import { make } from "./dom.js";

const WIDTH = 160;
const HEIGHT = 32;
const WINDOW_MS = 60_000;
/** Readings a second apart fill the window; what comes faster pushes the oldest out. */
const SAMPLES_MAX = 64;
/** Longer without a reading, and the line is broken: nothing is known of the time between. */
const GAP_MS = 3_000;
const INSET = 1;
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{at: number, value: number}} Sample */

/**
 * The line's points for `points` of a polyline, one string for each unbroken part. Zero is at the
 * bottom and the most at the top, now at the right.
 * @param {Sample[]} samples in the order of time
 * @param {number} now
 * @returns {string[]}
 */
export function lines(samples, now) {
  const most = Math.max(...samples.map(({ value }) => value), Number.MIN_VALUE);
  /** @type {string[][]} */
  const parts = [];
  let before = -Infinity;
  for (const { at, value } of samples) {
    const x = WIDTH * (1 - (now - at) / WINDOW_MS);
    const y = HEIGHT - INSET - (HEIGHT - 2 * INSET) * (value / most);
    if (at - before > GAP_MS) parts.push([]);
    parts.at(-1)?.push(`${x.toFixed(1)},${y.toFixed(1)}`);
    before = at;
  }
  // A point alone is a short stroke, or it would not be seen.
  return parts.map((points) => (points.length > 1 ? points.join(" ") : `${points[0]} ${points[0]}`));
}

export class Plot {
  element;
  /** @type {Sample[]} */
  samples = [];
  #svg = document.createElementNS(SVG, "svg");
  #range = make("span", { class: "plot-range" });
  #words;

  /** @param {(least: string, most: string) => string} words say the range */
  constructor(words) {
    this.#words = words;
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("width", String(WIDTH));
    this.#svg.setAttribute("height", String(HEIGHT));
    this.#svg.setAttribute("aria-hidden", "true");
    this.element = make("div", { class: "plot" }, this.#svg, this.#range);
  }

  /** @param {number} at by `performance.now()` @param {number} value */
  add(at, value) {
    this.samples.push({ at, value });
    this.samples = this.samples.filter((sample) => at - sample.at <= WINDOW_MS).slice(-SAMPLES_MAX);
    this.#svg.replaceChildren(...lines(this.samples, at).map((points) => {
      const line = document.createElementNS(SVG, "polyline");
      line.setAttribute("points", points);
      return line;
    }));
    const values = this.samples.map((sample) => sample.value);
    this.#range.textContent = this.#words(brief(Math.min(...values)), brief(Math.max(...values)));
  }
}

/** @param {number} value */
function brief(value) {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
