// The same picture to the same viewer on two ways: by the server, or straight from browser to
// browser; the viewer behind a link of the emulator. And a recorder of what comes of it.

import { HOST } from "./server.js";
import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */
/** @import {Sample} from "./decoded.js" */

/** Between two samples. */
const EVERY_MS = 200;
/** Of the picture's best rung, bits per second; as `pages/twin.js` has it. */
export const TOP_BPS = 1_500_000;
/** Of the picture: lines. */
export const TOP_LINES = 540;

/**
 * @typedef {{
 *   chromium: {tab: (viewport?: {width: number, height: number}) => Promise<Tab>},
 *   emulator: Awaited<ReturnType<typeof import("./emulator.js").startEmulator>>,
 *   site: {url: string}, server: string, media: number
 * }} Bench `server`: its URL; `media`: its UDP port
 * @typedef {{
 *   name: string, link: string, publisher: Tab, viewer: Tab,
 *   restart: (link: string) => Promise<void>, stop: () => Promise<void>
 * }} Showing
 */

let count = 0;

/** @param {Bench} bench */
async function pages(bench) {
  const tabs = await Promise.all([0, 1].map(() => bench.chromium.tab({ width: 320, height: 200 })));
  await Promise.all(tabs.map((tab) => tab.open("/", bench.site.url)));
  return /** @type {[Tab, Tab]} */ (tabs);
}

/**
 * By the server: three rungs in, the viewer's way out through the link.
 * @param {Bench} bench @param {string} link
 * @returns {Promise<Showing>}
 */
export async function byServer(bench, link) {
  const name = `ours-${(count += 1)}`;
  const [publisher, viewer] = await pages(bench);
  const { emulator, server, media } = bench;
  await publisher.ask((url) => /** @type {any} */ (window).twin.it.publish(url), `${server}/whip/${name}?participant=ada`);
  // The best rung flows before anybody looks: what is measured is the way to the viewer.
  await until(async () => (await look(publisher)).rungs.f?.framesSent > 20, { within: 30_000, what: "the best rung flows", last: async () => (await look(publisher)).rungs });
  const port = await emulator.forward(name, link, media);
  await viewer.ask(({ url, way }) => /** @type {any} */ (window).twin.it.play(url, way), { url: `${server}/whep/${name}?participant=ada`, way: { host: HOST, port } });
  const flows = [name];
  return {
    name,
    link,
    publisher,
    viewer,
    async restart(other) {
      const next = `${name}-${flows.length}`;
      flows.push(next);
      const way = { host: HOST, port: await emulator.forward(next, other, media) };
      await viewer.ask((way) => /** @type {any} */ (window).twin.it.restart(way), way);
    },
    stop: () => stop([publisher, viewer], emulator, flows),
  };
}

/**
 * From browser to browser, one encoding that follows the sender's own estimate.
 * @param {Bench} bench @param {string} link @param {number} [bitrate_max]
 * @returns {Promise<Showing>}
 */
export async function peerToPeer(bench, link, bitrate_max = TOP_BPS) {
  const name = `twin-${(count += 1)}`;
  const [publisher, viewer] = await pages(bench);
  const { emulator } = bench;
  /** @type {string[]} */
  const flows = [];
  /** @param {string} link */
  const agree = async (link) => {
    const flow = `${name}-${flows.length}`;
    flows.push(flow);
    const { near, far } = await emulator.pair(flow, link);
    const offer = await publisher.ask((most) => /** @type {any} */ (window).twin.it.offer(most), bitrate_max);
    const answer = await viewer.ask(({ sdp, way }) => /** @type {any} */ (window).twin.it.answer(sdp, way), { sdp: offer, way: { host: HOST, port: near } });
    await publisher.ask(({ sdp, way }) => /** @type {any} */ (window).twin.it.agree(sdp, way), { sdp: answer, way: { host: HOST, port: far } });
  };
  await agree(link);
  return { name, link, publisher, viewer, restart: agree, stop: () => stop([publisher, viewer], emulator, flows) };
}

/** @param {Tab[]} tabs @param {Bench["emulator"]} emulator @param {string[]} flows */
async function stop(tabs, emulator, flows) {
  for (const tab of tabs) {
    await tab.ask(() => /** @type {any} */ (window).twin.it.stop()).catch(() => {});
    await tab.close();
  }
  for (const flow of flows) await emulator.close(flow);
}

/** @param {Tab} tab @returns {Promise<any>} */
export const look = (tab) => tab.ask(() => /** @type {any} */ (window).twin.it.look());

/** Takes samples of a showing until it is stopped. */
export class Recorder {
  /** @type {Sample[]} */
  samples = [];
  #showing;
  #emulator;
  #isRunning = true;
  #done;

  /** @param {Bench} bench @param {Showing} showing */
  constructor(bench, showing) {
    this.#showing = showing;
    this.#emulator = bench.emulator;
    this.#done = this.#run();
  }

  async #run() {
    while (this.#isRunning) {
      await this.#take();
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  async #take() {
    const { publisher, viewer, link } = this.#showing;
    const [seen, shown, stats] = await Promise.all([look(viewer), look(publisher), this.#emulator.stats()]);
    const lane = stats.links[link]?.[1];
    const { video, audio } = seen;
    const rungs = Object.values(shown.rungs);
    this.samples.push({
      at: seen.at,
      frames: video?.framesDecoded ?? 0,
      delay: (video?.totalInterFrameDelay ?? 0) * 1_000,
      squared: (video?.totalSquaredInterFrameDelay ?? 0) * 1_000_000,
      height: video?.frameHeight ?? 0,
      bytes: (video?.bytesReceived ?? 0) + (video?.headerBytesReceived ?? 0),
      concealed: audio?.concealedSamples ?? 0,
      samples: audio?.totalSamplesReceived ?? 0,
      frozen: (video?.totalFreezesDuration ?? 0) * 1_000,
      queue: lane?.queue_ms_max ?? 0,
      sent: lane?.sent_bytes ?? 0,
      painted: Math.max(0, ...shown.painted.map(({ gap }) => gap)),
      source: Math.max(0, ...rungs.map((rung) => rung.framesSent ?? 0)),
      late: stats.late_ms_max,
    });
  }

  /** The time of the last sample, which is the page's and the recorder's alike. */
  get now() {
    return performance.timeOrigin + performance.now();
  }

  /** @param {number} ms */
  async rest(ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /**
   * Waits until a sample is as wanted; false: it was not in time.
   * @param {(sample: Sample) => boolean} is @param {number} within
   */
  async reaches(is, within) {
    const begun = this.now;
    try {
      await until(() => {
        const last = this.samples.at(-1);
        return last !== undefined && last.at >= begun && is(last);
      }, { within, what: "a sample is as wanted" });
      return true;
    } catch {
      return false;
    }
  }

  async stop() {
    this.#isRunning = false;
    await this.#done;
    return this.samples;
  }
}
