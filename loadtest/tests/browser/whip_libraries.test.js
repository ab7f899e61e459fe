// Publishers and players that others wrote, unmodified from npm: whip-whep (Medooze), and Eyevinn's
// whip-web-client and webrtc-player.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hears, others, sees } from "./support/media.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const SERVER = process.env.PLENUM_URL ?? "";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startSite>>} */
let site;
before(async () => {
  site = await startSite("libraries.html");
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

/** @import {Tab} from "./support/tabs.js" */

async function openSite() {
  const tab = await chromium.tab();
  await tab.open("/", site.url);
  await until(() => tab.ask(() => "libraries" in window), { within: 10_000, what: "the libraries are loaded" });
  return tab;
}

/**
 * Starts one of the four and waits for it.
 * @param {Tab} tab
 * @param {string} what
 * @param {string} path
 */
const start = (tab, what, path) =>
  tab.ask(async ({ what: name, url }) => void (await /** @type {any} */ (window).libraries[name](url)), { what, url: SERVER + path });

/** @param {Tab} tab @param {string} action */
const act = (tab, action) => tab.ask((name) => /** @type {any} */ (window).libraries[name](), action);

/** What the page's <video> shows. @param {Tab} tab */
const shown = (tab) => tab.ask(() => {
  const video = /** @type {HTMLVideoElement} */ (document.getElementById("seen"));
  const quality = video.getVideoPlaybackQuality();
  const tracks = /** @type {MediaStream|null} */ (video.srcObject)?.getTracks().map(({ kind }) => kind) ?? [];
  return { frames: quality.totalVideoFrames, width: video.videoWidth, tracks: tracks.sort() };
});

/** @param {Tab} tab */
async function plays(tab) {
  const before = await shown(tab);
  await until(async () => {
    const now = await shown(tab);
    return now.frames > before.frames + 5 && now.width > 0;
  }, { within: 20_000, what: "the player shows pictures", last: () => shown(tab) });
}

for (const { what, restarts } of [
  { what: "medoozePublish", restarts: true },
  { what: "eyevinnPublish", restarts: false },
]) {
  test(`${what}: our page sees and hears it, until it stops`, async (context) => {
    const ada = await chromium.tab();
    const encoder = await openSite();
    context.after(() => Promise.all([ada.close(), encoder.close()]));
    await ada.join(what, "Ada");
    await start(encoder, what, `/whip/${what}?participant=encoder&display_name=Encoder`);
    await Promise.all([sees(ada, "Encoder"), hears(ada, "Encoder")]);
    if (restarts) {
      await act(encoder, "restart");
      await sees(ada, "Encoder", { frames: 20 });
    }
    await act(encoder, "stop");
    await others(ada, []);
  });
}

for (const { what, restarts } of [
  { what: "medoozePlay", restarts: true },
  { what: "eyevinnPlay", restarts: false },
]) {
  test(`${what}: it plays our page, until it stops`, async (context) => {
    const ada = await chromium.tab();
    const player = await openSite();
    context.after(() => Promise.all([ada.close(), player.close()]));
    await ada.join(what, "Ada");
    await start(player, what, `/whep/${what}`);
    await plays(player);
    assert.deepEqual((await shown(player)).tracks, ["audio", "video"]);
    if (restarts) {
      await act(player, "restart");
      await plays(player);
    }
    await act(player, "stop");
  });
}
