// The figures of the twin, out of samples of known pictures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { between, bitrate, concealed, drained, frozen, longestGap, reaches, undecoded, underRate } from "./support/decoded.js";

/** @import {Sample} from "./support/decoded.js" */

/**
 * Samples every 200 ms of 20 s, of pictures that come at these moments.
 * @param {number[]} pictures
 * @param {(at: number) => Partial<Sample>} [more]
 * @returns {Sample[]}
 */
function sampled(pictures, more = () => ({})) {
  const samples = [];
  for (let at = 0; at <= 20_000; at += 200) {
    const seen = pictures.filter((each) => each <= at);
    const gaps = seen.slice(1).map((each, index) => each - /** @type {number} */ (seen[index]));
    const sum = (/** @type {number[]} */ list) => list.reduce((one, other) => one + other, 0);
    samples.push({
      at, frames: seen.length, delay: sum(gaps), squared: sum(gaps.map((gap) => gap * gap)), height: 540, bytes: 0,
      concealed: 0, samples: at * 48, frozen: 0, queue: 0, sent: 0, painted: 0, source: 0, late: 0, ...more(at),
    });
  }
  return samples;
}

/** Ten pictures a second, but none from `from` to `to`. @param {number} [from] @param {number} [to] */
const pictures = (from = 0, to = 0) => Array.from({ length: 201 }, (_, index) => index * 100).filter((at) => at <= from || at >= to);

test("the longest gap is the decoder's, wherever the samples fall", () => {
  /** @type {[string, number[], number][]} */
  const rows = [
    ["all is well", pictures(), 100],
    ["a gap over many samples", pictures(5_000, 7_000), 2_000],
    ["a gap between two samples", pictures(5_000, 5_200), 200],
    ["the last picture stands", pictures(17_000, 30_000), 3_000],
    ["nothing comes", [], 20_000],
  ];
  for (const [what, given, wanted] of rows) assert.equal(Math.round(longestGap(sampled(given))), wanted, what);
});

test("a gap within a sample that took long is found as well", () => {
  const all = sampled(pictures(5_000, 5_700));
  const late = all.filter(({ at }) => at <= 4_000 || at >= 9_000);
  assert.ok(Math.abs(longestGap(late) - 700) < 1, String(longestGap(late)));
});

test("the other figures count what they say", () => {
  const samples = sampled(pictures(), (at) => ({
    bytes: at * 100,
    concealed: at > 10_000 ? (at - 10_000) * 4.8 : 0,
    frozen: Math.max(0, at - 19_000),
    source: (at / 100) * 1.25,
    height: at < 3_000 ? 270 : 540,
    sent: at < 4_000 ? at * 250 : 1_000_000 + (at - 4_000) * 62.5,
    queue: at < 6_000 ? 300 : 20,
  }));
  assert.equal(bitrate(samples), 800);
  assert.equal(concealed(samples), 5);
  assert.equal(frozen(samples), 5);
  assert.ok(Math.abs(undecoded(samples) - 20) < 0.5, String(undecoded(samples)));
  assert.equal(reaches(samples, 1_000, 540), 2_000);
  assert.equal(reaches(samples, 1_000, 720), null);
  assert.equal(underRate(samples, 3_000, 600), 1_000);
  assert.equal(underRate(samples, 3_000, 400), null);
  assert.equal(drained(samples, 2_000, 100), 4_000);
  assert.equal(drained(samples, 7_000, 100), 0);
  assert.equal(drained(samples, 0, 10), null);
  assert.equal(between(samples, 400, 1_000).length, 4);
});
