// How many packets of real encoders leave with one message of the kernel's, by the server's own
// counters (`plenum_run_datagrams`): one publisher by WHIP, one viewer by WHEP.
//
//   npm run run-lengths                 VP8, VP9, H264 and AV1 at 1 and 3 Mb/s, a table
//   npm run run-lengths -- 20 VP8 AV1   each for 20 s, of these codecs only
//
// Ends with 1 where a picture did not arrive. What an encoder cannot reach on this machine is told
// ("sent, Mb/s"), not waited for.

import { startSite } from "./support/site.js";
import { startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const SERVER = process.env.PLENUM_URL ?? "";
const ADMIN = process.env.PLENUM_ADMIN ?? SERVER.replace(/\d+$/, (port) => String(Number(port) + 2));
/** A sender has found its rate by then, or does not. */
const RISE_MS = 15_000;

const [first = "", ...rest] = process.argv.slice(2);
const seconds = Number(first) || 10;
const names = Number(first) || first === "" ? rest : [first, ...rest];
const codecs = ["VP8", "VP9", "H264", "AV1"].filter((codec) => names.length === 0 || names.includes(codec));

/** The server's counters. @returns {Promise<{packets: number, sum: number, count: number, upTo: Map<number, number>}>} */
async function counters() {
  const text = await (await fetch(`${ADMIN}/metrics`)).text();
  const one = (/** @type {string} */ name) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)$`, "m").exec(text)?.[1]);
  const buckets = [...text.matchAll(/^plenum_run_datagrams_bucket\{.*le="(\d+)"\} (\d+)$/gm)];
  return {
    packets: one("plenum_packets_out_total"),
    sum: one("plenum_run_datagrams_sum"),
    count: one("plenum_run_datagrams_count"),
    upTo: new Map(buckets.map(([, bound, count]) => [Number(bound), Number(count)])),
  };
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

const chromium = await startChromium();
const site = await startSite("run_lengths.html");
const rows = [];
for (const codec of codecs) {
  for (const bitrate of [1_000_000, 3_000_000]) rows.push(await measure(codec, bitrate));
}
console.table(rows);
console.log(JSON.stringify(rows));
await chromium.close();
site.close();
process.exit(rows.every(({ decoded }) => decoded > 0) ? 0 : 1);

/** @param {string} codec @param {number} bitrate */
async function measure(codec, bitrate) {
  const room = `runs-${codec}-${bitrate}`.toLowerCase();
  const tab = await chromium.tab({ width: 320, height: 200 });
  await tab.open("/", site.url);
  const sums = () => tab.ask(() => /** @type {any} */ (window).runs.sums());
  await tab.ask(({ url, options }) => /** @type {any} */ (window).runs.publish(url, options), { url: `${SERVER}/whip/${room}`, options: { codec, bitrate } });
  await tab.ask((url) => /** @type {any} */ (window).runs.watch(url), `${SERVER}/whep/${room}`);
  await until(async () => (await sums()).decoded > 0, { within: 30_000, what: `${codec} is seen` });
  await risen(sums, bitrate);
  const [before, sent] = [await counters(), await sums()];
  await pause(seconds * 1_000);
  const [after, then] = [await counters(), await sums()];
  await tab.ask(() => /** @type {any} */ (window).runs.stop());
  await tab.close();
  return row(codec, bitrate, { before, after, sent, then });
}

/** Until what is sent is near to what is allowed, or it has had its time. @param {() => Promise<{bytes: number}>} sums @param {number} bitrate */
async function risen(sums, bitrate) {
  const begun = Date.now();
  for (let last = (await sums()).bytes; Date.now() - begun < RISE_MS; ) {
    await pause(1_000);
    const { bytes } = await sums();
    if ((bytes - last) * 8 >= bitrate * 0.8) return;
    last = bytes;
  }
}

/**
 * @typedef {Awaited<ReturnType<typeof counters>>} Counters
 * @typedef {{bytes: number, packets: number, frames: number, width: number, codec: string, decoded: number}} Sums
 */

/** @param {string} codec @param {number} bitrate @param {{before: Counters, after: Counters, sent: Sums, then: Sums}} seen */
function row(codec, bitrate, { before, after, sent, then }) {
  const bucket = (/** @type {number} */ bound) => (after.upTo.get(bound) ?? 0) - (before.upTo.get(bound) ?? 0);
  const round = (/** @type {number} */ value, digits = 1) => Number(value.toFixed(digits));
  const singles = bucket(1);
  const segmented = after.sum - before.sum - singles;
  const messages = after.count - before.count - singles;
  const packets = after.packets - before.packets;
  const bounds = [...after.upTo.keys()].sort((left, right) => left - right);
  const counts = bounds.map((bound, place) => bucket(bound) - (place > 0 ? bucket(bounds[place - 1] ?? 0) : 0));
  return {
    codec: then.codec.split("/")[1] ?? codec,
    "asked, Mb/s": bitrate / 1e6,
    "sent, Mb/s": round(((then.bytes - sent.bytes) * 8) / seconds / 1e6, 2),
    width: then.width,
    "frames a second": round((then.frames - sent.frames) / seconds),
    "packets a frame": round((then.packets - sent.packets) / Math.max(1, then.frames - sent.frames)),
    packets,
    "by GSO, %": round((100 * segmented) / Math.max(1, packets)),
    "packets a GSO message": round(segmented / Math.max(1, messages)),
    "messages of 1, 2, -4, -8, -16, -32, -64": counts.join(" "),
    decoded: then.decoded - sent.decoded,
  };
}
