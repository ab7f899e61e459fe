// Every codec Chromium can send, in turn between two tabs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

for (const codec of ["VP8", "VP9", "H264", "AV1"]) {
  test(`${codec} is negotiated and decoded, also by one who comes late`, async (context) => {
    const tabs = [await chromium.tab(), await chromium.tab()];
    context.after(() => Promise.all(tabs.map((tab) => tab.close())));
    const [ada, lin] = /** @type {[import("./support/tabs.js").Tab, import("./support/tabs.js").Tab]} */ (tabs);
    await ada.join(codec, "Ada", { codec });
    await lin.join(codec, "Lin", { codec });
    const seen = await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);
    assert.deepEqual(seen.map((each) => each.codec), [codec, codec]);
    const grace = await chromium.tab();
    tabs.push(grace);
    await grace.join(codec, "Grace", { codec });
    const late = await sees(grace, "Ada", { within: 5_000 });
    assert.equal(late.codec, codec);
  });
}

test("who sends another codec is seen all the same", async (context) => {
  const tabs = [await chromium.tab(), await chromium.tab(), await chromium.tab()];
  context.after(() => Promise.all(tabs.map((tab) => tab.close())));
  const codecs = ["VP8", "H264", "VP9"];
  await Promise.all(tabs.map((tab, index) => tab.join("mixed", codecs[index] ?? "", { codec: codecs[index] ?? "" })));
  for (const [index, tab] of tabs.entries()) {
    for (const other of codecs.filter((_, each) => each !== index)) {
      assert.equal((await sees(tab, other)).codec, other);
    }
  }
});
