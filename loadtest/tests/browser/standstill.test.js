// What the long meeting counts as frozen, played without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Standstills } from "./support/standstill.js";

const LOOK_MS = 200;

/**
 * Lin looks at Ada for thirty seconds.
 * @param {{sent: (ms: number) => number|null, decoded: (ms: number) => number|null, every?: number, excused?: number}} play
 *   frames by then; null: no answer, or no tile
 */
function play({ sent, decoded, every = LOOK_MS, excused = 0 }) {
  const counts = new Standstills(() => {});
  counts.excuse("", excused);
  let before = 0;
  for (let now = every; now <= 30_000; now += every) {
    const frames = sent(now);
    if (frames !== null) counts.sent("Ada", Math.floor(frames), now);
    const seen = decoded(now);
    counts.look("Lin", seen === null ? [] : [{ shown: "Ada", frames: Math.floor(seen) }], { now, before });
    before = now;
  }
  const { frozen = 0, starved = 0 } = counts.tiles.get("Lin sees Ada") ?? {};
  return { frozen, starved };
}

/** Ten frames a second, but none from `from` to `to`. @param {number} from @param {number} to */
const pausing = (from, to) => (/** @type {number} */ ms) => Math.min(ms, Math.max(from, ms - (to - from))) / 100;
const running = (/** @type {number} */ ms) => ms / 100;

test("a picture that stands is frozen if its sender went on, and starved only while it did not", () => {
  /** @type {[string, Parameters<typeof play>[0], {frozen: number, starved: number}][]} */
  const rows = [
    ["all is well", { sent: running, decoded: running }, { frozen: 0, starved: 0 }],
    ["behind by 400 ms", { sent: running, decoded: (ms) => running(Math.max(0, ms - 400)) }, { frozen: 0, starved: 0 }],
    ["stands for 900 ms", { sent: running, decoded: pausing(6_000, 6_900) }, { frozen: 0, starved: 0 }],
    ["stands for 2 s", { sent: running, decoded: pausing(6_000, 8_000) }, { frozen: 1, starved: 0 }],
    ["never begins", { sent: running, decoded: () => 0 }, { frozen: 1, starved: 0 }],
    ["begins late", { sent: running, decoded: (ms) => running(Math.max(0, ms - 4_000)) }, { frozen: 0, starved: 0 }],
    ["stands twice", { sent: running, decoded: (ms) => pausing(6_000, 8_000)(pausing(15_000, 18_000)(ms) * 100) }, { frozen: 2, starved: 0 }],
    ["stands for ever", { sent: running, decoded: (ms) => running(Math.min(ms, 6_000)) }, { frozen: 1, starved: 0 }],
    ["its sender pauses", { sent: pausing(6_000, 8_000), decoded: pausing(6_000, 8_300) }, { frozen: 0, starved: 1 }],
    ["its sender pauses and goes on, it does not", { sent: pausing(6_000, 7_300), decoded: (ms) => running(Math.min(ms, 6_000)) }, { frozen: 1, starved: 0 }],
    ["its sender does not answer, later does", { sent: (ms) => (ms > 6_000 && ms < 9_000 ? null : running(ms)), decoded: (ms) => running(Math.min(ms, 6_000)) }, { frozen: 1, starved: 0 }],
    ["its sender is a new page", { sent: (ms) => (ms < 6_000 ? running(ms) : running(ms - 6_000)), decoded: (ms) => running(Math.min(ms, 6_000)) }, { frozen: 1, starved: 0 }],
    ["looks that take 1.5 s", { sent: running, decoded: (ms) => running(Math.min(ms, 6_000)), every: 1_500 }, { frozen: 1, starved: 0 }],
    ["not there for a while", { sent: running, decoded: (ms) => (ms > 6_000 && ms < 9_000 ? null : ms < 9_000 ? running(ms) : running(ms - 3_000)) }, { frozen: 0, starved: 0 }],
    ["excused", { sent: running, decoded: pausing(6_000, 8_000), excused: 10_000 }, { frozen: 0, starved: 0 }],
  ];
  for (const [what, given, wanted] of rows) assert.deepEqual(play(given), wanted, what);
});
