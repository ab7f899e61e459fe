// A meeting of six tabs for some minutes, with a shared screen, chat, a reload and a server that
// is killed and started again. Each tab's tiles are watched; a picture that stands still for more
// than a second outside the restart and the reload counts as frozen, if its sender went on sending;
// if not, its sender is starved: the machine's doing, counted apart.
//
//   npm run long-meeting -- 10
//
// Prints a table and ends with 1 where a tile froze, somebody is missing, or a tile shows a ghost.

import { others, received, sees } from "./support/media.js";
import { press } from "./support/sentences.js";
import { startServer } from "./support/server.js";
import { Standstills } from "./support/standstill.js";
import { address, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const NAMES = ["Ada", "Lin", "Grace", "Joan", "Mary", "Hedy"];
const PORT = 23_080;
const LOOK_MS = 200;
/** After a tab or the server was away, pictures have this long to be back. */
const GRACE_MS = 10_000;

/** @typedef {import("./support/tabs.js").Tab} Tab */

export class Watcher {
  #counts;
  #isRunning = true;
  #tabs;

  /** @param {{tab: Tab, name: string}[]} tabs @param {(line: string) => void} say */
  constructor(tabs, say) {
    this.#tabs = tabs;
    this.#counts = new Standstills(say);
    this.done = Promise.all(this.#tabs.map((each) => this.#watch(each)));
  }

  get tiles() {
    return this.#counts.tiles;
  }

  /**
   * What freezes now has a reason; a name, or "" for everybody.
   * @param {string} name
   * @param {number} [ms]
   */
  excuse(name, ms = GRACE_MS) {
    this.#counts.excuse(name, performance.now() + ms);
  }

  /** @param {{tab: Tab, name: string}} each */
  async #watch({ tab, name }) {
    let before = 0;
    while (this.#isRunning) {
      // A page that is being loaded answers nothing, and that is no count of anything.
      const all = await received(tab).catch(() => null);
      const now = performance.now();
      const frames = await sent(tab);
      if (frames !== null) this.#counts.sent(name, frames, performance.now());
      if (all !== null) {
        // A screen on which nothing moves sends nothing: it is no sign of anything. A tile that is on
        // another page of the stage, or has no room beside a shared screen, is paused as it wished.
        const seen = all.filter(({ source, muted, paused }) => source === "CAMERA" && !muted && paused !== "WISHED");
        this.#counts.look(name, seen.map(({ participant, framesDecoded }) => ({ shown: participant, frames: framesDecoded })), { now, before });
        before = now;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async stop() {
    this.#isRunning = false;
    await this.done;
  }
}

/** Frames that a tab's camera has sent so far; null without an answer. @param {Tab} tab */
function sent(tab) {
  return tab.ask(async () => {
    const report = await /** @type {any} */ (window).plenum.pc?.getStats();
    if (!report) return null;
    let frames = 0;
    report.forEach((/** @type {any} */ row) => {
      if (row.type === "outbound-rtp" && row.kind === "video" && row.frameHeight <= 180) frames += row.framesSent;
    });
    return frames;
  }).catch(() => null);
}

/**
 * Runs the meeting; every minute a message, in its first third a share, in the middle a reload,
 * in the last third the restart.
 * @param {{minutes: number, say?: (line: string) => void, tabs?: number}} options
 */
export async function meet({ minutes, say = () => {}, tabs: count = NAMES.length }) {
  const names = NAMES.slice(0, count);
  let server = await startServer({ port: PORT });
  const chromium = await startChromium();
  /** @type {Watcher|null} */
  let watcher = null;
  const whole = minutes * 60_000;
  const begun = performance.now();
  /** @param {number} part of the whole */
  const reach = async (part) => {
    const rest = begun + whole * part - performance.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
  };
  try {
    /** @type {{tab: Tab, name: string}[]} */
    const tabs = [];
    for (const name of names) {
      // Small pages: painting thirty tiles in software is most of the work.
      const tab = await chromium.tab({ width: 900, height: 560 });
      await tab.open(address("long", name, { participant: name.toLowerCase(), video: "320x180@10" }), server.url);
      await tab.state("in", 30_000);
      tabs.push({ tab, name });
    }
    const all = async () => {
      for (const { tab, name } of tabs) await others(tab, names.filter((each) => each !== name), 30_000);
    };
    const [ada, lin] = /** @type {[{tab: Tab}, {tab: Tab}]} */ (/** @type {unknown} */ (tabs));
    await all();
    watcher = new Watcher(tabs, say);
    watcher.excuse("");
    say("all are in");
    await reach(0.2);
    watcher.excuse("Ada", 2_000);
    await press(ada.tab, "Share");
    await sees(lin.tab, "Ada", { source: "SCREEN", within: 15_000 });
    say("Ada shares her screen");
    await press(lin.tab, "Chat");
    for (const part of [0.25, 0.3, 0.35, 0.4]) {
      await reach(part);
      await lin.tab.page.fill(".chat textarea", `at ${part}`);
      await lin.tab.page.press(".chat textarea", "Enter");
    }
    await until(async () => (await ada.tab.ask(() => document.querySelectorAll(".messages .text").length)) === 4, { within: 10_000, what: "Ada has the four messages" });
    await press(ada.tab, "Stop sharing");
    await reach(0.5);
    const last = tabs.at(-1);
    if (last) {
      watcher.excuse(last.name);
      await last.tab.page.reload();
      await last.tab.state("in", 30_000);
      say(`${last.name} has reloaded the page`);
    }
    await all();
    await reach(0.7);
    watcher.excuse("", 60_000);
    server.kill("SIGKILL");
    await until(() => !server.alive, { within: 5_000, what: "the server is gone" });
    server = await startServer({ port: PORT });
    const started = performance.now();
    for (const { tab } of tabs) await tab.state("in", 30_000);
    await all();
    const back = Math.round(performance.now() - started);
    watcher.excuse("");
    say(`all are back ${back} ms after the server`);
    await reach(1);
    await all();
    await watcher.stop();
    for (const { tab } of tabs) await tab.close();
    const tiles = [...watcher.tiles].map(([tile, { frames, frozen, starved, longest }]) => ({ tile, frames, frozen, starved, longest: Math.round(longest) }));
    return { tiles, frozen: tiles.filter((tile) => tile.frozen > 0), back };
  } finally {
    await watcher?.stop();
    await chromium.close();
    await server.stop();
  }
}

if (process.argv[1]?.endsWith("long_meeting.js")) {
  const minutes = Number(process.argv[2] ?? 10);
  const begun = Date.now();
  const { tiles, frozen, back } = await meet({ minutes, say: (line) => console.log(`${Math.round((Date.now() - begun) / 1_000)} s: ${line}`) });
  console.table(tiles);
  const starved = tiles.filter((tile) => tile.starved > 0).length;
  console.log(JSON.stringify({ minutes, tiles: tiles.length, frozen: frozen.length, starved, back_ms: back }));
  process.exitCode = frozen.length > 0 ? 1 : 0;
}
