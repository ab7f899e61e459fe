// Layers of one stream, told by the dependency descriptor: real encoders, real decoders, and a viewer
// whose wish changes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decoder, frames, given, layered, layersIn, reaches, simulcast, sums, switches, wishes } from "./support/layers.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

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

for (const mode of [simulcast("VP8"), layered("VP9", "L3T3_KEY")]) {
  test(`ten switches of ${mode.name} cost no frame but the gap`, async (context) => {
    const shown = await layersIn(chromium, site, SERVER, `ten-${mode.codec.toLowerCase()}`, mode);
    context.after(() => shown.close());
    const { found, missing, before, after: end } = await switches(shown, mode, 10);
    // Chromium says nothing of layers in VP8's payload where a descriptor goes along.
    await until(async () => (await given(shown))?.temporal === 2, { within: 10_000, what: "three temporal layers are known", last: () => given(shown) });
    context.diagnostic(JSON.stringify({ found, missing }));
    const undecoded = end.framesReceived - end.framesDecoded - (before.framesReceived - before.framesDecoded);
    assert.ok(undecoded <= 3, `${undecoded} frames were received and not decoded`);
    for (const { isUp, gap } of found) {
      // The gates are 67 and 250 ms, measured by `npm run switches`; this machine may have others to serve.
      assert.ok(gap < (isUp ? 500 : 300), `${isUp ? "up" : "down"}: ${gap} ms`);
    }
  });
}
