// Layers of one stream, told by the dependency descriptor: real encoders, real decoders, and a viewer
// whose wish changes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decoder, frames, layered, layersIn, reaches, sums, wishes } from "./support/layers.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";

const SERVER = process.env.PLENUM_URL ?? "";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startSite>>} */
let site;
before(async () => {
  site = await startSite("layers.html");
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

for (const mode of [layered("AV1", "L3T3"), layered("AV1", "L3T3_KEY"), layered("VP9", "L3T3_KEY"), layered("H264", "L1T3")]) {
  test(`${mode.name} of a browser goes to a browser, each of its layers`, async (context) => {
    const shown = await layersIn(chromium, site, SERVER, `layers-${mode.name.replaceAll(/[ _]/g, "-").toLowerCase()}`, mode);
    context.after(() => shown.close());
    const all = [...mode.lines].reverse();
    for (const lines of [...all, ...mode.lines]) {
      await wishes(shown, lines);
      await reaches(shown, lines);
    }
    const { rows, isDescribed } = await sums(shown.publisher);
    context.diagnostic(JSON.stringify({ rows, isDescribed, decoder: await decoder(shown), frames: (await frames(shown)).length }));
    assert.ok(isDescribed, "the extension is agreed on");
    assert.equal(rows.length, 1);
    assert.equal(rows[0].codec, `video/${mode.codec}`);
  });
}
