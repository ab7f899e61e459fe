// A page with only fetch and RTCPeerConnection plays by WHEP what happens in a room.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { others } from "./support/media.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const SERVER = process.env.PLENUM_URL ?? "";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startSite>>} */
let site;
before(async () => {
  site = await startSite("whip.html");
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

/** @import {Tab} from "./support/tabs.js" */

/** @param {string} path */
async function viewer(path) {
  const tab = await chromium.tab();
  await tab.open("/", site.url);
  await tab.ask(async (url) => {
    const { whip } = /** @type {any} */ (window);
    whip.it = await whip.play(url);
  }, SERVER + path);
  return tab;
}

/** @param {string} room @param {string} name @param {string} color */
async function painter(room, name, color) {
  const tab = await chromium.tab();
  await tab.open("/", site.url);
  await tab.ask(async ({ url, color: wanted }) => {
    const { whip } = /** @type {any} */ (window);
    whip.it = await whip.publish(url, { color: wanted });
  }, { url: `${SERVER}/whip/${room}?participant=${name}`, color });
  return tab;
}

/** @param {Tab} tab */
const sums = (tab) => tab.ask(() => /** @type {any} */ (window).whip.it.sums());
/** @param {Tab} tab */
const color = (tab) => tab.ask(() => /** @type {any} */ (window).whip.color());

/** @param {Tab} tab */
async function seesAndHears(tab) {
  const before = await sums(tab);
  await until(async () => {
    const now = await sums(tab);
    return now.frames > before.frames + 5 && now.energy > before.energy;
  }, { within: 20_000, what: "pictures and sound come", last: () => sums(tab) });
}

/** @param {Tab} tab @param {"red"|"blue"} wanted */
async function shows(tab, wanted, within = 20_000) {
  await until(async () => {
    const seen = await color(tab);
    if (!seen) return false;
    const [red, , blue] = seen;
    return wanted === "red" ? red > 150 && blue < 100 : blue > 150 && red < 100;
  }, { within, what: `the picture is ${wanted}`, last: () => color(tab) });
}

/** @param {Tab} tab @param {boolean} on */
const speak = (tab, on) => tab.ask((wanted) => void (/** @type {any} */ (window).whip.it.sound.enabled = wanted), on);

test("a viewer sees and hears our page, which does not see the viewer", async (context) => {
  const ada = await chromium.tab();
  await ada.join("whep", "Ada");
  const watching = await viewer("/whep/whep");
  context.after(() => Promise.all([ada.close(), watching.close()]));
  await seesAndHears(watching);
  await others(ada, []);
  assert.equal(await watching.ask(() => /** @type {any} */ (window).whip.it.stop()), 200);
});

test("a viewer that comes before anybody publishes waits, and then sees", async (context) => {
  const watching = await viewer("/whep/whep-first");
  const ada = await chromium.tab();
  context.after(() => Promise.all([ada.close(), watching.close()]));
  await until(async () => (await sums(watching)).state === "connected", { within: 10_000, what: "the viewer is connected" });
  await ada.join("whep-first", "Ada");
  await seesAndHears(watching);
});

test("a viewer sees who publishes by WHIP, restarts ICE and goes on seeing", async (context) => {
  const red = await painter("whep-restart", "red", "red");
  const watching = await viewer("/whep/whep-restart");
  context.after(() => Promise.all([red.close(), watching.close()]));
  await seesAndHears(watching);
  const before = await sums(watching);
  await watching.ask(() => /** @type {any} */ (window).whip.it.restart());
  await until(async () => {
    const now = await sums(watching);
    return now.state === "connected" && now.pair !== before.pair;
  }, { within: 10_000, what: "another pair is selected", last: () => sums(watching) });
  await seesAndHears(watching);
});

test("a viewer sees the participant it names", async (context) => {
  const red = await painter("whep-named", "red", "red");
  const blue = await painter("whep-named", "blue", "blue");
  const watching = await viewer("/whep/whep-named?participant=blue");
  context.after(() => Promise.all([red.close(), blue.close(), watching.close()]));
  await shows(watching, "blue");
  await blue.ask(() => /** @type {any} */ (window).whip.it.stop());
  const again = await painter("whep-named", "blue", "blue");
  context.after(() => again.close());
  const before = await sums(watching);
  await until(async () => (await sums(watching)).frames > before.frames + 5, { within: 15_000, what: "the one who came back is seen" });
});

test("a viewer sees whoever speaks, and the picture follows without another offer", async (context) => {
  const red = await painter("whep-speaker", "red", "red");
  const blue = await painter("whep-speaker", "blue", "blue");
  context.after(() => Promise.all([red.close(), blue.close()]));
  await speak(red, true);
  await speak(blue, false);
  const watching = await viewer("/whep/whep-speaker");
  context.after(() => watching.close());
  await shows(watching, "red");
  await speak(red, false);
  await speak(blue, true);
  await shows(watching, "blue");
  await speak(blue, false);
  await speak(red, true);
  await shows(watching, "red");
  const statuses = await watching.ask(() => /** @type {any} */ (window).whip.it.statuses);
  assert.deepEqual(statuses, [201]);
});
