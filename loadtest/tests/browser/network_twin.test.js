// A viewer behind a bad network, with real encoders and decoders: what is counted are pictures and
// sound, beside what this machine could paint in time.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { between, concealed, growth, longestGap } from "./support/decoded.js";
import { hasEmulator, startEmulator } from "./support/emulator.js";
import { startSite } from "./support/site.js";
import { startChromium } from "./support/tabs.js";
import { Recorder, TOP_LINES, byServer } from "./support/twin.js";

const SERVER = process.env.PLENUM_URL ?? "";
const skip = hasEmulator ? false : "needs cargo build -p loadtest";

/** @type {import("./support/twin.js").Bench} */
let bench;
/** @type {(() => unknown)[]} */
const ends = [];
before(async () => {
  if (skip) return;
  const [chromium, emulator, site] = [await startChromium(), await startEmulator(), await startSite("twin.html")];
  ends.push(() => chromium.close(), () => emulator.stop(), () => site.close());
  bench = { chromium, emulator, site, server: SERVER, media: Number(new URL(SERVER).port) + 3 };
});
after(async () => {
  for (const end of ends) await end();
});

/** @import {TestContext} from "node:test" */

/** @param {TestContext} context @param {string} link */
async function watched(context, link) {
  const showing = await byServer(bench, link);
  const recorder = new Recorder(bench, showing);
  context.after(async () => {
    await recorder.stop();
    await showing.stop();
  });
  return recorder;
}

test("a viewer whose link grows narrow gets a lower rung, and the best again when it widens", { skip }, async (context) => {
  await bench.emulator.tell("link narrow delay=25ms");
  await bench.emulator.tell("link narrow down rate=2M buffer=62500B");
  const recorder = await watched(context, "narrow");
  assert.ok(await recorder.reaches(({ height }) => height >= TOP_LINES, 30_000), "the best rung comes on 2 Mb/s");
  const begun = recorder.now;
  await bench.emulator.tell("link narrow down rate=0.6M");
  assert.ok(await recorder.reaches(({ height }) => height < TOP_LINES, 30_000), "a lower rung comes on 0.6 Mb/s");
  await bench.emulator.tell("link narrow down rate=4M");
  const frames = recorder.samples.at(-1)?.frames ?? 0;
  assert.ok(await recorder.reaches((sample) => sample.height >= TOP_LINES && sample.frames > frames + 30, 40_000), "the best rung comes again");
  const samples = between(await recorder.stop(), begun);
  context.diagnostic(`longest gap ${Math.round(longestGap(samples))} ms; sound made up ${concealed(samples).toFixed(2)} %`);
});

test("a viewer who loses one packet in ten sees most pictures, and moving ones", { skip }, async (context) => {
  await bench.emulator.tell("link lossy delay=50ms");
  await bench.emulator.tell("link lossy down rate=5M loss=10%");
  const recorder = await watched(context, "lossy");
  assert.ok(await recorder.reaches(({ frames }) => frames >= 30, 30_000), "pictures come");
  const begun = recorder.now;
  const frames = recorder.samples.at(-1)?.frames ?? 0;
  assert.ok(await recorder.reaches((sample) => sample.frames >= frames + 150, 60_000), "pictures go on");
  const samples = between(await recorder.stop(), begun);
  const [decoded, sent] = [growth(samples, "frames"), growth(samples, "source")];
  context.diagnostic(`${decoded} of ${sent} pictures decoded; sound made up ${concealed(samples).toFixed(2)} %`);
  assert.ok(decoded >= sent * 0.5, `${decoded} of ${sent} pictures were decoded`);
});

test("nothing comes through a cut link, and pictures go on when it is mended", { skip }, async (context) => {
  await bench.emulator.tell("link cable delay=10ms");
  const recorder = await watched(context, "cable");
  assert.ok(await recorder.reaches(({ frames }) => frames >= 30, 30_000), "pictures come");
  await bench.emulator.tell("link cable cut=on");
  // What has arrived is decoded still.
  const stands = () => {
    const [before, last] = [recorder.samples.at(-6), recorder.samples.at(-1)];
    return before !== undefined && last !== undefined && before.frames === last.frames;
  };
  assert.ok(await recorder.reaches(stands, 10_000), "the picture stands");
  const frames = recorder.samples.at(-1)?.frames ?? 0;
  await bench.emulator.tell("link cable cut=off");
  assert.ok(await recorder.reaches((sample) => sample.frames >= frames + 15, 30_000), "pictures go on");
});
