// What the page costs while nothing happens but a meeting: six tabs in a room, and in one of them
// Chromium's own profiler for thirty seconds.
//
//   npm run profile -- 30 chat
//
// Prints a table of the functions with the most time of their own, what the main thread did besides,
// and one line of JSON. After the seconds: a panel that is open meanwhile (chat, people or
// statistics). Ends with 1 where scripts take more of a core than they may.

import { others } from "./support/media.js";
import { press } from "./support/sentences.js";
import { startServer } from "./support/server.js";
import { address, startChromium } from "./support/tabs.js";

const NAMES = ["Ada", "Lin", "Grace", "Joan", "Mary", "Hedy"];
const PORT = 25_080;
const SAMPLE_US = 500;
const ROWS = 20;
/** Percent of a core. */
const SCRIPT_MAX = 5;
/** What a profile calls time in which no script ran. */
const NO_SCRIPT = new Set(["(idle)", "(program)", "(root)"]);

/** @typedef {{functionName: string, url: string, lineNumber: number}} Frame */
/** @typedef {{id: number, callFrame: Frame, children?: number[]}} Node */
/** @typedef {{nodes: Node[], samples: number[], timeDeltas: number[]}} Profile */

/** @param {Frame} frame */
function nameOf({ functionName, url, lineNumber }) {
  if (url === "") return functionName;
  const file = URL.canParse(url) ? new URL(url).pathname.slice(1) : url;
  return `${functionName || "(anonymous)"} ${file}:${lineNumber + 1}`;
}

/**
 * Microseconds each function took by itself, most first, and all of it.
 * @param {Profile} profile
 */
export function selfTimes({ nodes, samples, timeDeltas }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  /** @type {Map<string, number>} */
  const times = new Map();
  let whole = 0;
  for (const [index, id] of samples.entries()) {
    // A delta stands before its sample: what lasted until the next one was this function.
    const time = Math.max(0, timeDeltas[index + 1] ?? 0);
    const name = names.get(id) ?? "(unknown)";
    times.set(name, (times.get(name) ?? 0) + time);
    whole += time;
  }
  return { times: [...times].sort(([, a], [, b]) => b - a), whole };
}

/** @param {number} seconds @param {string|undefined} panel */
async function profile(seconds, panel) {
  const server = await startServer({ port: PORT });
  const chromium = await startChromium();
  try {
    const tabs = [];
    for (const name of NAMES) {
      // The one that is profiled is as large as usual; the others leave it the machine.
      const viewport = name === NAMES[0] ? { width: 1_280, height: 720 } : { width: 480, height: 320 };
      const tab = await chromium.tab(viewport);
      await tab.open(address("profile", name, { video: "320x180@15" }), server.url);
      await tab.state("in", 30_000);
      tabs.push({ tab, name });
    }
    for (const { tab, name } of tabs) await others(tab, NAMES.filter((each) => each !== name), 30_000);
    const { tab } = /** @type {{tab: import("./support/tabs.js").Tab}} */ (tabs[0]);
    if (panel) await press(tab, { chat: "Chat", people: "People" }[panel] ?? "More");
    if (panel === "statistics") await tab.page.click(".menu >> text=Statistics");
    const cdp = await tab.page.context().newCDPSession(tab.page);
    await cdp.send("Performance.enable");
    await cdp.send("Profiler.enable");
    await cdp.send("Profiler.setSamplingInterval", { interval: SAMPLE_US });
    const metrics = async () => new Map((await cdp.send("Performance.getMetrics")).metrics.map((/** @type {{name: string, value: number}} */ { name, value }) => [name, value]));
    const before = await metrics();
    await cdp.send("Profiler.start");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const { profile } = await cdp.send("Profiler.stop");
    const after = await metrics();
    for (const { tab } of tabs) await tab.close();
    /** Percent of the time. @param {string} name */
    const part = (name) => (((after.get(name) ?? 0) - (before.get(name) ?? 0)) * 100) / ((after.get("Timestamp") ?? 0) - (before.get("Timestamp") ?? 0));
    return { profile: /** @type {Profile} */ (profile), tasks: part("TaskDuration"), layout: part("LayoutDuration"), style: part("RecalcStyleDuration") };
  } finally {
    await chromium.close();
    await server.stop();
  }
}

const seconds = Number(process.argv[2] ?? 30);
const { profile: taken, tasks, layout, style } = await profile(seconds, process.argv[3]);
const { times, whole } = selfTimes(taken);
const share = (/** @type {number} */ time) => Math.round((time * 10_000) / whole) / 100;
console.table(times.filter(([name]) => !NO_SCRIPT.has(name)).slice(0, ROWS).map(([name, time]) => ({ function: name, ms: Math.round(time / 100) / 10, percent: share(time) })));
const script = share(times.reduce((sum, [name, time]) => sum + (NO_SCRIPT.has(name) ? 0 : time), 0));
const rounded = (/** @type {number} */ value) => Math.round(value * 100) / 100;
console.log(JSON.stringify({ seconds, tiles: NAMES.length, panel: process.argv[3] ?? null, script_percent: script, tasks_percent: rounded(tasks), style_percent: rounded(style), layout_percent: rounded(layout) }));
if (script > SCRIPT_MAX) {
  console.error(`scripts take ${script} % of a core, where ${SCRIPT_MAX} % is the most`);
  process.exitCode = 1;
}
