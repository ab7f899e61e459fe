// When our library sends a voice twice: by what it reads of loss, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Losses, Redundancy } from "../../../web/plenum/redundancy.js";

/** Fifty packets a second, of which a share is lost. @param {Losses} losses @param {number[]} perSecond */
function play(losses, perSecond, from = { sent: 0, lost: 0 }) {
  const at = { ...from };
  /** @type {[number, boolean][]} */
  const changes = [];
  for (const [second, lost] of perSecond.entries()) {
    at.sent += 50;
    at.lost += lost;
    if (losses.read(at.sent, at.lost)) changes.push([second, losses.isLossy]);
  }
  return { changes, at };
}

/** @param {number} seconds @param {(second: number) => number} lost */
const seconds = (seconds, lost) => Array.from({ length: seconds }, (_, second) => lost(second));

test("copies begin where more than two in a hundred are lost, and not by chance", () => {
  for (const [what, lost, expected] of /** @type {[string, (second: number) => number, boolean][]} */ ([
    ["nothing is lost", () => 0, false],
    ["one in a hundred", (second) => second % 2, false],
    ["a burst of four", (second) => (second === 5 ? 4 : 0), false],
    ["three in a hundred", (second) => 1 + (second % 2), true],
    ["one in ten", () => 5, true],
  ])) {
    const losses = new Losses();
    const { changes } = play(losses, seconds(60, lost));
    assert.equal(losses.isLossy, expected, what);
    assert.equal(changes.length, expected ? 1 : 0, `${what}: ${JSON.stringify(changes)}`);
  }
});

test("much loss is seen within two readings, little within ten", () => {
  assert.deepEqual(play(new Losses(), seconds(20, () => 5)).changes, [[1, true]]);
  const [[first] = [Infinity]] = play(new Losses(), seconds(20, (second) => 1 + (second % 2))).changes;
  assert.ok(first <= 10, `${first}`);
});

test("copies end once the loss has been over for a while, and not before half a minute", () => {
  const losses = new Losses();
  const { at } = play(losses, seconds(5, () => 5));
  assert.equal(losses.isLossy, true);
  const { changes, at: then } = play(losses, seconds(60, () => 0), at);
  assert.equal(changes.length, 1);
  const [[second, isLossy] = [0, true]] = changes;
  assert.ok(!isLossy && second >= 30 && second <= 42, JSON.stringify(changes));
  // And begin again where it does.
  assert.deepEqual(play(losses, seconds(5, () => 5), then).changes, [[2, true]]);
});

test("loss that comes and goes does not make it flutter", () => {
  const losses = new Losses();
  const { changes } = play(losses, seconds(300, (second) => (second % 20 < 5 ? 5 : 0)));
  assert.deepEqual(changes.map(([, isLossy]) => isLossy), [true]);
});

test("counts that begin anew are no loss", () => {
  const losses = new Losses();
  play(losses, seconds(20, () => 0), { sent: 100_000, lost: 40 });
  assert.equal(play(losses, seconds(20, () => 0)).changes.length, 0);
  assert.equal(losses.isLossy, false);
});

test("what a browser would not take is tried again with the next reading, until it does", async (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const counted = { sent: 0, lost: 0 };
  const sender = {
    track: {},
    getStats: async () => new Map([
      ["out", { type: "outbound-rtp", packetsSent: counted.sent }],
      ["in", { type: "remote-inbound-rtp", packetsLost: counted.lost }],
    ]),
  };
  /** @type {boolean[]} */
  const told = [];
  const redundancy = new Redundancy(() => /** @type {any} */ (sender), (isLossy) => {
    told.push(isLossy);
    if (told.length < 3) throw new Error("not while an offer is made");
  });
  for (let second = 0; second < 8; second += 1) {
    counted.sent += 50;
    counted.lost += 5;
    context.mock.timers.tick(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  redundancy.close();
  assert.deepEqual(told, [true, true, true]);
});
