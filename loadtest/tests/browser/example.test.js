// The example page of docs/examples/browser, as it stands, in a room with our page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { hears, others, sees } from "./support/media.js";
import { startFolder } from "./support/folder.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const FOLDER = new URL("../../../docs/examples/browser/", import.meta.url);

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startFolder>>} */
let site;
before(async () => {
  site = await startFolder(FOLDER);
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

test("a page of forty lines on the library alone meets our page", async (context) => {
  const script = /<script type="module">\n([^]*)<\/script>/.exec(readFileSync(new URL("index.html", FOLDER), "utf8"))?.[1] ?? "";
  assert.ok(script.trim().split("\n").length <= 40, "forty lines");
  const ada = await chromium.tab();
  const example = await chromium.tab();
  context.after(() => Promise.all([ada.close(), example.close()]));
  await ada.join("example", "Ada");
  const server = new URL(process.env.PLENUM_URL ?? "").host;
  await example.page.goto(`${site.url}/?server=${server}&room=example&name=Example`);
  await Promise.all([sees(ada, "Example"), hears(ada, "Example")]);
  const seen = () => example.ask(() => [...document.querySelectorAll("#others video")].map((video) => /** @type {HTMLVideoElement} */ (video).videoWidth));
  await until(async () => (await seen()).some((width) => width > 0), { within: 15_000, what: "the example shows Ada", last: seen });
  await example.page.click("#mute");
  const muted = () => ada.ask(() => /** @type {any} */ (window).plenum.participants[0]?.tracks.find((/** @type {any} */ { source }) => source === "MICROPHONE")?.muted);
  await until(muted, { within: 5_000, what: "Ada's page sees that Example is muted" });
  await example.page.click("#leave");
  await others(ada, []);
  await until(async () => (await example.page.textContent("#state")) === "LEFT_ITSELF", { within: 5_000, what: "the example says that it left" });
});
