// The statistics' line of the last minute, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lines } from "../../../../web/page/plot.js";

/** @param {string} [text] */
const points = (text = "") => text.split(" ").map((pair) => pair.split(",").map(Number));

test("a minute of readings fills the width and the most stands at the top", () => {
  const samples = Array.from({ length: 61 }, (_, second) => ({ at: second * 1_000, value: second === 30 ? 400 : 100 }));
  const parts = lines(samples, 60_000);
  assert.equal(parts.length, 1);
  const drawn = points(parts[0]);
  assert.deepEqual(drawn[0], [0, 23.5]);
  assert.deepEqual(drawn[30], [80, 1]);
  assert.deepEqual(drawn[60], [160, 23.5]);
});

test("a line of zeros lies at the bottom, inside the plot", () => {
  const parts = lines([{ at: 0, value: 0 }, { at: 1_000, value: 0 }], 1_000);
  assert.deepEqual(points(parts[0]).map(([, y]) => y), [31, 31]);
});

test("a time without readings breaks the line instead of bridging it", () => {
  const samples = [0, 1_000, 2_000, 9_000, 10_000].map((at) => ({ at, value: 5 }));
  const parts = lines(samples, 10_000);
  assert.deepEqual(parts.map((part) => points(part).length), [3, 2]);
});

test("a single reading is a stroke that can be seen, and none is no line", () => {
  assert.equal(points(lines([{ at: 7, value: 1 }], 7)[0]).length, 2);
  assert.deepEqual(lines([], 7), []);
});
