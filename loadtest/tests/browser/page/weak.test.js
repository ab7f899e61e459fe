// Whose network is bad is seen by the others, and by themselves, and no longer than it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startLink } from "../support/link.js";
import { hears } from "../support/media.js";
import { HOST, startServer } from "../support/server.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @typedef {import("../support/tabs.js").Tab} Tab */

const PORT = 26_680;
const LINK = { http: 26_780, udp: 26_783, toHttp: PORT, toUdp: PORT + 3 };
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startLink>>} */
let link;
before(async () => {
  if (skip) return;
  server = await startServer({ port: PORT, advertise: `${HOST}:${LINK.udp}`, environment: { PLENUM_ADVERTISE__PRIVATE: "false" } });
  link = await startLink(LINK);
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  link.close();
  await server.stop();
  assertFrames();
});

/** What a tab shows of everybody's connection: bars, the word on the tile, and what the server said. @param {Tab} tab */
const shown = (tab) => tab.ask(() => {
  const { connection, participants } = /** @type {any} */ (window).plenum;
  /** @type {{[who: string]: {bars: string, isWeak: boolean, quality: string}}} */
  const all = {};
  for (const tile of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".tile"))) {
    const bars = /** @type {HTMLElement} */ (tile.querySelector(".tile-bars"));
    const weak = /** @type {HTMLElement} */ (tile.querySelector(".tile-weak"));
    const isSelf = tile.dataset.tile === "/self";
    const known = isSelf ? connection.roster.own : connection.roster.participants.get(tile.dataset.tile);
    const name = isSelf ? "self" : participants.find((/** @type {any} */ one) => one.participant === tile.dataset.tile)?.displayName;
    all[name ?? "?"] = { bars: bars.hidden ? "" : (bars.dataset.bars ?? ""), isWeak: !weak.hidden, quality: known?.quality ?? "" };
  }
  return all;
});

test("who loses packets on the way down is shown as weakly connected to all, and then not any more", { skip, timeout: 180_000 }, async (context) => {
  const [ada, lin] = await Promise.all([chromium.tab(), chromium.tab()]);
  context.after(() => Promise.all([ada.close(), lin.close()]));
  // Nothing comes down to Ada, whose microphone alone is on: what is lost on the way down is Lin's.
  await ada.open(address("weak", "Ada", { camera: "0" }), server.url);
  await ada.state("in");
  await lin.open(address("weak", "Lin", { camera: "0", audio: "0" }), server.url);
  await lin.state("in");
  await hears(lin, "Ada", 30_000);
  const both = async () => ({ ada: await shown(ada), lin: await shown(lin) });
  const before = await both();
  assert.equal(before.ada.Lin?.quality, "GOOD", JSON.stringify(before));
  assert.equal(before.lin.self?.bars, "", "of oneself nothing is said while it is good");

  link.lose(7);
  const lossy = performance.now();
  await until(async () => {
    const { ada, lin } = await both();
    return ada.Lin?.quality === "POOR" && ada.Lin.bars === "1" && ada.Lin.isWeak && lin.self?.bars === "1";
  }, { within: 60_000, what: "one bar of Lin for both", every: 200, last: both });
  context.diagnostic(`one bar ${Math.round(performance.now() - lossy)} ms after one packet in seven was lost`);
  const { self } = await shown(ada);
  assert.deepEqual([self?.quality, self?.bars], ["GOOD", ""], "Ada loses nothing");
  // What of hers gets lost on Lin's way is Lin's matter.
  await until(async () => {
    const { Ada } = await shown(lin);
    return Ada?.bars === "3" && !Ada.isWeak;
  }, { within: 5_000, what: "three bars of Ada", last: both });
  await ada.screenshot("weak-other");
  await lin.screenshot("weak-self");

  link.lose(0);
  await until(async () => {
    const { ada, lin } = await both();
    return ada.Lin?.quality === "GOOD" && !ada.Lin.isWeak && lin.self?.bars === "";
  }, { within: 90_000, what: "all is well again", every: 500, last: both });
});
