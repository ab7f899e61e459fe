// Real encoders and decoders on bad networks: Chromium publishes into a room, Chromium watches from
// behind the emulator, and the same picture goes from browser to browser through the same link.
//
//   npm run twin               all scenes, a table, one line of JSON
//   npm run twin -- fall loss  those whose names begin so
//
// With PLENUM_TWIN_OURS=1 without the one from browser to browser; with PLENUM_TWIN_SAMPLES=1 each
// sample is printed.
//
// Ends with 1 where a gate is missed. The rows A… are those of the acceptance table of adaptation;
// the last columns are this machine's doing: how late the emulator was, and the longest gap between
// two pictures of the source.

import { between, bitrate, concealed, drained, frozen, growth, longestGap, percentile, reaches, underRate, undecoded } from "./support/decoded.js";
import { startEmulator } from "./support/emulator.js";
import { startSite } from "./support/site.js";
import { startChromium } from "./support/tabs.js";
import { Recorder, TOP_LINES, byServer, peerToPeer } from "./support/twin.js";

/** @import {Bench, Showing} from "./support/twin.js" */
/** @import {Sample} from "./support/decoded.js" */

/**
 * What a scene found: figures by the row's name. null: never; none: it does not apply.
 * @typedef {{[what: string]: number|null}} Figures
 * @typedef {{
 *   figures: Figures, late: number, painted: number, lines: string
 * }} Found
 * @typedef {(bench: Bench, open: typeof byServer, link: string) => Promise<Found>} Scene
 * @typedef {{what: string, unit: string, gate: number|null, least?: boolean, orTwin?: number}} Row
 *   `gate`: at most, or at least; null: only shown. `orTwin`: at most so many times the twin's will do
 */

/**
 * Plays a scene: opens, plays, closes, and reads the figures.
 * @param {Bench} bench @param {typeof byServer} open @param {string} link
 * @param {(recorder: Recorder, showing: Showing) => Promise<(samples: Sample[]) => Figures>} play
 * @returns {Promise<Found>}
 */
async function shown(bench, open, link, play) {
  const showing = await open(bench, link);
  const recorder = new Recorder(bench, showing);
  try {
    const read = await play(recorder, showing);
    const samples = await recorder.stop();
    if (process.env.PLENUM_TWIN_SAMPLES) for (const { at, height, frames, source, queue, sent, bytes } of samples) console.log(JSON.stringify({ at: Math.round(at - (samples[0]?.at ?? 0)), height, frames, source, queue, sent, bytes }));
    return {
      figures: read(samples),
      late: Math.max(...samples.map(({ late }) => late)),
      painted: Math.round(Math.max(...samples.map(({ painted }) => painted))),
      lines: heights(samples),
    };
  } finally {
    await recorder.stop();
    await showing.stop();
  }
}

/** Lines of the picture, from then on: "135@0 270@1.2 540@2.4". @param {Sample[]} samples */
function heights(samples) {
  const changes = samples.filter(({ height }, index) => height !== samples[index - 1]?.height);
  return changes.map(({ at, height }) => `${height}@${((at - (samples[0]?.at ?? 0)) / 1_000).toFixed(1)}`).join(" ");
}

/** Waits until the best is shown and has been for a while. @param {Recorder} recorder */
async function settled(recorder) {
  await recorder.reaches(({ height }) => height >= TOP_LINES, 20_000);
  await recorder.rest(3_000);
}

/** @type {{name: string, rows: {[row: string]: Row}, play: Scene}[]} */
const SCENES = [
  {
    name: "control",
    rows: { gap: { what: "no emulation: longest gap", unit: "ms", gate: null }, undecoded: { what: "no emulation: pictures lost", unit: "%", gate: null } },
    play: (bench, open, link) => shown(bench, open, link, async (recorder) => {
      await settled(recorder);
      const begun = recorder.now;
      await recorder.rest(10_000);
      return (samples) => ({ gap: longestGap(between(samples, begun)), undecoded: undecoded(between(samples, begun)) });
    }),
  },
  {
    name: "start",
    rows: {
      A1: { what: "A1 start on 2 Mb/s: 90 % of what is wanted", unit: "ms", gate: null },
      A2: { what: "A2 start on 2 Mb/s: best rung decoded", unit: "ms", gate: 1_200 },
      A3: { what: "A3 then 20 s: pictures", unit: "kb/s", gate: null },
      A3q: { what: "A3 queue, p95 of the longest per sample", unit: "ms", gate: null },
      A3m: { what: "A3 queue, longest", unit: "ms", gate: null },
    },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=25ms`);
      await bench.emulator.tell(`link ${link} down rate=2M buffer=62500B`);
      return shown(bench, open, link, async (recorder) => {
        await settled(recorder);
        const begun = recorder.now;
        await recorder.rest(20_000);
        return (samples) => {
          const first = samples.find(({ frames }) => frames > 0)?.at ?? 0;
          const steady = between(samples, begun);
          const full = bitrate(steady) * 0.9;
          const there = samples.find((sample) => sample.at > first && bitrate(between(samples, sample.at, sample.at + 700)) >= full);
          const queues = steady.map(({ queue }) => queue);
          return { A1: there ? there.at - first : null, A2: reaches(samples, first, TOP_LINES), A3: bitrate(steady), A3q: percentile(queues, 0.95), A3m: Math.max(...queues) };
        };
      });
    },
  },
  {
    name: "fall",
    rows: {
      gap: { what: "show 2a: 2 -> 0.6 -> 2 Mb/s: longest gap", unit: "ms", gate: 500 },
      sound: { what: "show 2a: sound made up", unit: "%", gate: 1 },
      back: { what: "show 2a, A6: best rung back", unit: "ms", gate: 5_000 },
      A4: { what: "A4 sent rate <= capacity for a second", unit: "ms", gate: 700 },
      A5: { what: "A5 queue < 100 ms and staying", unit: "ms", gate: 3_000 },
      A5q: { what: "A5 afterwards: queue, p95 of the longest per sample", unit: "ms", gate: null },
    },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=25ms`);
      await bench.emulator.tell(`link ${link} down rate=2M buffer=62500B`);
      return shown(bench, open, link, async (recorder) => {
        await settled(recorder);
        const begun = recorder.now;
        await recorder.rest(5_000);
        const fell = recorder.now;
        await bench.emulator.tell(`link ${link} down rate=0.6M`);
        await recorder.rest(20_000);
        const rose = recorder.now;
        await bench.emulator.tell(`link ${link} down rate=2M`);
        await recorder.reaches(({ height }) => height >= TOP_LINES, 30_000);
        await recorder.rest(5_000);
        return (samples) => {
          const whole = between(samples, begun);
          const low = between(samples, fell, rose);
          const drain = drained(low, fell, 100);
          const after = drain === null ? [] : between(low, fell + drain).map(({ queue }) => queue);
          return { gap: longestGap(whole), sound: concealed(whole), back: reaches(samples, rose, TOP_LINES), A4: underRate(low, fell, 600), A5: drain, A5q: percentile(after, 0.95) };
        };
      });
    },
  },
  loss("loss-10", 10, 50, { frozen: { what: "show 2b: 10 % loss, RTT 100 ms: time frozen", unit: "%", gate: 1, orTwin: 1.2 }, A8: { what: "A8 10 % loss: pictures never decoded", unit: "%", gate: 0.5 }, A8s: { what: "A8 10 % loss: sound made up", unit: "%", gate: null }, A7: { what: "A7 10 % loss: pictures, 2.3/2.5 of what is sent", unit: "%", gate: 92, least: true } }),
  loss("loss-05", 5, 25, { A8: { what: "A8 5 % loss: pictures never decoded", unit: "%", gate: 0.1 }, A8s: { what: "A8 5 % loss: sound made up", unit: "%", gate: null }, A7: { what: "A7 5 % loss: pictures, 2.4/2.5 of what is sent", unit: "%", gate: 96, least: true } }),
  loss("loss-20", 20, 25, { A8: { what: "A8 20 % loss: pictures never decoded", unit: "%", gate: 2 }, A8s: { what: "A8 20 % loss: sound made up", unit: "%", gate: null }, A7: { what: "A7 20 % loss: pictures, 1.8/2.5 of what is sent", unit: "%", gate: 72, least: true } }),
  {
    name: "share",
    rows: { A13: { what: "A13 our share beside Chromium on 3.2 Mb/s, 30 s", unit: "%", gate: 35, least: true }, A13m: { what: "A13 the same, at most", unit: "%", gate: 65 } },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=25ms`);
      await bench.emulator.tell(`link ${link} down rate=3.2M buffer=100000B`);
      const rival = await peerToPeer(bench, link, 4_000_000);
      try {
        return await shown(bench, open, link, async (recorder, showing) => {
          await recorder.rest(15_000);
          const before = (await bench.emulator.stats()).flows;
          await recorder.rest(30_000);
          const after = (await bench.emulator.stats()).flows;
          const sum = (/** @type {string} */ name) => Object.keys(after).filter((flow) => flow.startsWith(name)).reduce((bytes, flow) => bytes + (after[flow]?.[1] ?? 0) - (before[flow]?.[1] ?? 0), 0);
          const [own, other] = [sum(showing.name), sum(rival.name)];
          const share = (100 * own) / Math.max(1, own + other);
          return () => ({ A13: share, A13m: share });
        });
      } finally {
        await rival.stop();
      }
    },
  },
  {
    name: "layer",
    rows: { A16: { what: "A16 the best rung stops: longest gap", unit: "ms", gate: 500 }, A16b: { what: "A16 bandwidth halves (2 -> 1 Mb/s): longest gap", unit: "ms", gate: 500 } },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=25ms`);
      await bench.emulator.tell(`link ${link} down rate=2M buffer=62500B`);
      return shown(bench, open, link, async (recorder, { publisher }) => {
        await settled(recorder);
        const begun = recorder.now;
        const isOurs = open === byServer;
        if (isOurs) await publisher.ask(() => /** @type {any} */ (window).twin.it.activate("f", false));
        await recorder.rest(6_000);
        const stopped = recorder.now;
        if (isOurs) await publisher.ask(() => /** @type {any} */ (window).twin.it.activate("f", true));
        await settled(recorder);
        const halved = recorder.now;
        await bench.emulator.tell(`link ${link} down rate=1M`);
        await recorder.rest(8_000);
        return (samples) => ({ ...(isOurs ? { A16: longestGap(between(samples, begun, stopped)) } : {}), A16b: longestGap(between(samples, halved)) });
      });
    },
  },
  {
    name: "mute",
    rows: { A19: { what: "A19 muted for 10 s: best rung again", unit: "ms", gate: 1_000 } },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=25ms`);
      await bench.emulator.tell(`link ${link} down rate=2M buffer=62500B`);
      return shown(bench, open, link, async (recorder, { publisher }) => {
        await settled(recorder);
        await publisher.ask(() => /** @type {any} */ (window).twin.it.mute(true));
        await recorder.rest(10_000);
        await publisher.ask(() => /** @type {any} */ (window).twin.it.mute(false));
        const unmuted = recorder.now;
        await recorder.rest(10_000);
        return (samples) => {
          // The height stands while nothing comes: from the first new picture on.
          const frames = between(samples, 0, unmuted).at(-1)?.frames ?? 0;
          const again = samples.find((sample) => sample.at >= unmuted && sample.frames > frames);
          return { A19: again ? reaches(samples, again.at, TOP_LINES) === null ? null : (reaches(samples, again.at, TOP_LINES) ?? 0) + again.at - unmuted : null };
        };
      });
    },
  },
  {
    name: "path",
    rows: { A21: { what: "A21 Wi-Fi -> LTE by an ICE restart: pictures again", unit: "ms", gate: 2_000 }, A21s: { what: "A21 sound made up", unit: "ms", gate: 300 } },
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} rate=20M delay=10ms`);
      await bench.emulator.tell(`link ${link}-lte rate=3M delay=40ms`);
      return shown(bench, open, link, async (recorder, { restart }) => {
        await settled(recorder);
        const left = recorder.now;
        await bench.emulator.tell(`link ${link} cut=on`);
        await restart(`${link}-lte`);
        await recorder.rest(10_000);
        return (samples) => {
          const frames = between(samples, 0, left + 300).at(-1)?.frames ?? 0;
          const again = samples.find((sample) => sample.at > left + 300 && sample.frames > frames);
          return { A21: again ? again.at - left : null, A21s: growth(between(samples, left - 400), "concealed") / 48 };
        };
      });
    },
  },
];

/**
 * @param {string} name @param {number} percent @param {number} delay each way, ms
 * @param {{[row: string]: Row}} rows
 * @returns {{name: string, rows: {[row: string]: Row}, play: Scene}}
 */
function loss(name, percent, delay, rows) {
  return {
    name,
    rows,
    play: async (bench, open, link) => {
      await bench.emulator.tell(`link ${link} delay=${delay}ms`);
      await bench.emulator.tell(`link ${link} down rate=5M buffer=250ms loss=${percent}%`);
      return shown(bench, open, link, async (recorder) => {
        await settled(recorder);
        const begun = recorder.now;
        await recorder.rest(30_000);
        return (samples) => {
          const steady = between(samples, begun);
          return { frozen: frozen(steady), A8: undecoded(steady), A8s: concealed(steady), A7: (100 * bitrate(steady)) / 1_500 };
        };
      });
    },
  };
}

/** @param {number|null} ours @param {number|null} twin @param {Row} row */
function isMet(ours, twin, { gate, least = false, orTwin = 0 }) {
  if (gate === null) return null;
  if (ours === null) return false;
  if (least) return ours >= gate;
  return ours <= gate || (twin !== null && orTwin > 0 && ours <= twin * orTwin);
}

/** @param {number|null|undefined} figure */
const told = (figure) => (figure === undefined ? "" : figure === null ? "never" : Number(figure.toFixed(2)));

/** @param {string[]} only */
export async function measure(only = []) {
  const base = process.env.PLENUM_URL ?? "";
  const site = await startSite("twin.html");
  const chromium = await startChromium();
  const emulator = await startEmulator();
  // Media is at the third port after HTTP.
  const bench = { chromium, emulator, site, server: base, media: Number(new URL(base).port) + 3 };
  const table = [];
  try {
    for (const { name, rows, play } of SCENES) {
      if (only.length > 0 && !only.some((each) => name.startsWith(each))) continue;
      const ours = await play(bench, byServer, `${name}-ours`);
      const isAlone = name === "share";
      const isAsked = !process.env.PLENUM_TWIN_OURS;
      const twin = isAlone || !isAsked ? null : await play(bench, peerToPeer, `${name}-twin`);
      console.log(`${name}: lines of ours ${ours.lines}${twin ? `; of the twin ${twin.lines}` : ""}`);
      for (const [row, { what, unit, gate, least, orTwin }] of Object.entries(rows)) {
        const [own, other] = [ours.figures[row], twin?.figures[row]];
        table.push({
          what: `${what}, ${unit}`,
          gate: gate === null ? "" : `${least ? ">=" : "<="} ${gate}`,
          ours: told(own),
          twin: told(other),
          met: isMet(own ?? null, other ?? null, { what, unit, gate, least, orTwin }),
          late: `${ours.late}/${twin?.late ?? 0}`,
          painted: `${ours.painted}/${twin?.painted ?? 0}`,
        });
      }
    }
  } finally {
    await chromium.close();
    await emulator.stop();
    site.close();
  }
  return table;
}

if (process.argv[1]?.endsWith("network_twin.js")) {
  const table = await measure(process.argv.slice(2));
  console.table(table);
  const missed = table.filter(({ met }) => met === false);
  console.log(JSON.stringify({ rows: table.length, missed: missed.map(({ what }) => what), figures: Object.fromEntries(table.map(({ what, ours, twin }) => [what, [ours, twin]])) }));
  process.exitCode = missed.length > 0 || table.length === 0 ? 1 : 0;
}
