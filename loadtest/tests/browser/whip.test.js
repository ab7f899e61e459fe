// A page with only fetch and RTCPeerConnection publishes by WHIP into a room with our page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { find, hears, others, sees, stands } from "./support/media.js";
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

/**
 * Ada's tab of our page, and a publisher named "Encoder", both in `room`.
 * @param {import("node:test").TestContext} context
 * @param {string} room
 * @param {{simulcast?: boolean}} [options]
 */
async function publisherIn(context, room, options = {}) {
  const ada = await chromium.tab();
  const encoder = await chromium.tab();
  context.after(() => Promise.all([ada.close(), encoder.close()]));
  await ada.join(room, "Ada");
  await encoder.open("/", site.url);
  await encoder.ask(async ({ url, options: wanted }) => {
    const { whip } = /** @type {any} */ (window);
    whip.it = await whip.publish(url, wanted);
  }, { url: `${SERVER}/whip/${room}?participant=encoder&display_name=Encoder`, options });
  return { ada, encoder };
}

/** @param {import("./support/tabs.js").Tab} tab */
const sums = (tab) => tab.ask(() => /** @type {any} */ (window).whip.it.sums());

test("our page sees and hears who publishes by WHIP, until DELETE", async (context) => {
  const { ada, encoder } = await publisherIn(context, "whip");
  const [seen] = await Promise.all([sees(ada, "Encoder"), hears(ada, "Encoder")]);
  assert.deepEqual([seen.width, seen.height], [320, 240]);
  await others(ada, ["Encoder"]);
  assert.equal(await encoder.ask(() => /** @type {any} */ (window).whip.it.stop()), 200);
  await others(ada, []);
  assert.equal(await encoder.ask(() => /** @type {any} */ (window).whip.it.stop()), 404, "a second DELETE");
});

test("candidates may be trickled, and ICE is restarted by PATCH while media goes on", async (context) => {
  const { ada, encoder } = await publisherIn(context, "whip-restart");
  await sees(ada, "Encoder");
  await encoder.ask(() => /** @type {any} */ (window).whip.it.trickle());
  const before = await sums(encoder);
  const freezes = (await find(ada, "Encoder", "CAMERA"))?.freezes ?? 0;
  const { ufrag } = await encoder.ask(() => /** @type {any} */ (window).whip.it.restart());
  assert.notEqual(ufrag, "");
  await until(async () => {
    const now = await sums(encoder);
    return now.state === "connected" && now.pair !== before.pair;
  }, { within: 10_000, what: "another pair is selected", last: () => sums(encoder) });
  await sees(ada, "Encoder", { frames: 20 });
  await hears(ada, "Encoder");
  const after = (await find(ada, "Encoder", "CAMERA"))?.freezes ?? 0;
  assert.ok(after - freezes <= 1, `${after - freezes} pictures stood still`);
  // Candidates of the time after the restart are taken under the new ETag.
  await encoder.ask(() => /** @type {any} */ (window).whip.it.trickle());
  const statuses = await encoder.ask(() => /** @type {any} */ (window).whip.it.statuses);
  assert.deepEqual(statuses, [201, 204, 200, 204]);
});

test("a simulcast publisher is taken and seen in its highest layer", async (context) => {
  const { ada, encoder } = await publisherIn(context, "whip-simulcast", { simulcast: true });
  await sees(ada, "Encoder");
  await until(async () => (await find(ada, "Encoder", "CAMERA"))?.width === 960, {
    within: 40_000,
    what: "960 pixels are seen",
    last: () => find(ada, "Encoder", "CAMERA"),
  });
  const { rids } = await sums(encoder);
  assert.deepEqual([...rids].sort(), ["f", "h", "q"]);
});

test("a publisher that mutes itself goes silent and still, and comes back", async (context) => {
  const { ada, encoder } = await publisherIn(context, "whip-mute");
  await Promise.all([sees(ada, "Encoder"), hears(ada, "Encoder")]);
  // What an encoder does that has no signalling: it stops sending.
  const send = (/** @type {boolean} */ on) => encoder.ask(async (wanted) => {
    const { pc, sound, picture } = /** @type {any} */ (window).whip.it;
    const [audio, video] = pc.getSenders();
    await audio.replaceTrack(wanted ? sound : null);
    await video.replaceTrack(wanted ? picture : null);
  }, on);
  await send(false);
  await stands(ada, "Encoder");
  await others(ada, ["Encoder"]);
  await send(true);
  await Promise.all([sees(ada, "Encoder"), hears(ada, "Encoder")]);
});

test("a publisher whose tab is killed is gone once its consent has expired", async (context) => {
  const { ada, encoder } = await publisherIn(context, "whip-killed");
  await sees(ada, "Encoder");
  await encoder.ask(() => /** @type {any} */ (window).whip.it.pc.close());
  await others(ada, [], 40_000);
});

test("a refused offer says why, to a page of another origin too", async (context) => {
  const encoder = await chromium.tab();
  context.after(() => encoder.close());
  await encoder.open("/", site.url);
  const problem = await encoder.ask(async (url) => {
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/sdp" }, body: "v=1" });
    return { type: answer.headers.get("content-type"), ...(await answer.json()) };
  }, `${SERVER}/whip/refused`);
  assert.equal(problem.type, "about:blank");
  assert.equal(problem.reason, "SDP_INVALID");
  assert.equal(problem.line, 1);
});
