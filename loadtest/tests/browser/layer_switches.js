// Forced switches between the lowest and the highest layer of a picture, with real encoders and
// decoders: what is lost, and how long it takes.
//
//   npm run switches                 100 switches in each way of sending, a line of JSON each, a table
//   npm run switches -- 20 VP8 AV1   so many, of those whose names begin so
//
// Ends with 1 where a gate is missed: down within a frame's interval and with one picture at most that
// was taken and is not shown (their distances differ by some milliseconds), up within 250 ms, no frame
// received and neither decoded nor dropped. What is dropped is what this machine could not decode in
// time; "at rest" is half a minute without a switch, for comparison. "Lost" are pictures that were
// encoded and could have been shown, and were not seen: not decoded, decoded so late that the next one
// was shown instead ("decoded" less "seen"), or put aside by the receiver, which counts none of those.

import { layered, layersIn, simulcast, switches } from "./support/layers.js";
import { percentile } from "./support/decoded.js";
import { startSite } from "./support/site.js";
import { startChromium } from "./support/tabs.js";

/** @import {Mode, Switch} from "./support/layers.js" */

const SERVER = process.env.PLENUM_URL ?? "";
const DOWN_MS = 1_000 / 15;
const DOWN_PICTURES = 1;
const UP_MS = 250;
/** Without a switch, for comparison. */
const REST_MS = 30_000;

const [first = "", ...rest] = process.argv.slice(2);
const count = Number(first) || 100;
const names = Number(first) || first === "" ? rest : [first, ...rest];

/** @type {Mode[]} */
const modes = [simulcast("VP8"), simulcast("H264"), layered("VP9", "L3T3_KEY"), layered("AV1", "L3T3"), layered("AV1", "L3T3_KEY")];
const chosen = modes.filter(({ name }) => names.length === 0 || names.some((each) => name.startsWith(each)));

const chromium = await startChromium();
const site = await startSite("layers.html");
const rows = [];
for (const [place, mode] of chosen.entries()) {
  const shown = await layersIn(chromium, site, SERVER, `switches-${place}`, mode);
  try {
    rows.push(figures(mode.name, await switches(shown, mode, count, REST_MS)));
    console.log(JSON.stringify(rows.at(-1)));
  } finally {
    await shown.close();
  }
}
console.table(rows);
await chromium.close();
site.close();
process.exit(rows.every(({ ok }) => ok) ? 0 : 1);

/** @param {number} part @param {number} whole */
function percent(part, whole) {
  return Number(((100 * part) / Math.max(1, whole)).toFixed(2));
}

/** @param {string} name @param {Awaited<ReturnType<typeof switches>>} outcome */
function figures(name, { found, missing, still, before, after, frames }) {
  const of = (/** @type {boolean} */ isUp, /** @type {(each: Switch) => number} */ what) => found.filter((each) => each.isUp === isUp).map(what);
  const most = (/** @type {number[]} */ values) => Math.round(Math.max(0, ...values));
  // Of the longest gap: so long its publisher encoded nothing.
  const paused = (/** @type {boolean} */ isUp) => {
    const worst = found.filter((each) => each.isUp === isUp).reduce((one, other) => (other.gap > one.gap ? other : one));
    return Math.round(worst.paused);
  };
  const down = of(false, ({ gap }) => gap);
  const skipped = of(false, ({ skipped }) => skipped);
  const up = of(true, ({ gap }) => gap);
  if (process.env.PLENUM_SWITCHES) for (const each of found) console.log(JSON.stringify(each));
  if (missing.length > 0) console.log(`${name}: lost so many ms after a switch: ${missing.join(" ")}`);
  // What is still in the decoder when the figures are read is not lost.
  const undecoded = after.framesReceived - after.framesDecoded - (before.framesReceived - before.framesDecoded);
  const dropped = after.framesDropped - before.framesDropped;
  return {
    name,
    switches: found.length,
    decoded: after.framesDecoded - before.framesDecoded,
    seen: frames.length,
    undecoded,
    "dropped, %": percent(dropped, after.framesReceived - before.framesReceived),
    "at rest, %": percent(before.framesDropped - still.framesDropped, before.framesReceived - still.framesReceived),
    "lost at switches": found.reduce((sum, { lost }) => sum + lost, 0),
    "lost in all": missing.length,
    "gap down, most": most(down),
    "pictures skipped, most": most(skipped),
    "of it paused": paused(false),
    "slowest before, median": Math.round(percentile(of(false, ({ slowest }) => slowest), 0.5)),
    "gap up, median": Math.round(percentile(up, 0.5)),
    "gap up, most": most(up),
    "of it so": paused(true),
    "down after, median": Math.round(percentile(of(false, ({ waited }) => waited), 0.5)),
    "up after, median": Math.round(percentile(of(true, ({ waited }) => waited), 0.5)),
    plis: after.pliCount - before.pliCount,
    ok: undecoded - dropped <= 3 && most(down) <= Math.ceil(DOWN_MS) && most(skipped) <= DOWN_PICTURES && most(up) <= UP_MS,
  };
}
