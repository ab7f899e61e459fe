// A viewer that is made to switch between the heights of one picture, and sees every decoded frame.

import { find } from "./media.js";
import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */

/**
 * A decoded frame: when it was read, its own time, both in milliseconds, and its lines.
 * @typedef {{at: number, time: number, lines: number}} Frame
 */

export const FPS = 15;
/** Of the picture in full. */
export const TOP_LINES = 540;
const SCALES = [4, 2, 1];
const BITRATES = [150_000, 400_000, 1_000_000];

/**
 * @typedef {{name: string, codec: string, encodings: object[], described?: boolean, lines: number[]}} Mode
 *   `lines`: of each spatial layer
 */

/** Simulcast of a codec. @param {string} codec @returns {Mode} */
export const simulcast = (codec) => ({
  name: `${codec} simulcast`,
  codec,
  encodings: SCALES.map((scaleResolutionDownBy, place) => ({ rid: "lmh"[place], scaleResolutionDownBy, maxBitrate: BITRATES[place], scalabilityMode: "L1T3" })),
  lines: SCALES.map((scale) => TOP_LINES / scale),
});

/**
 * Layers of one stream.
 * @param {string} codec @param {string} scalabilityMode @returns {Mode}
 */
export const layered = (codec, scalabilityMode) => {
  const spatial = Number(scalabilityMode[1]);
  return {
    name: `${codec} ${scalabilityMode}`,
    codec,
    encodings: [{ scalabilityMode, maxBitrate: 1_500_000 }],
    described: true,
    lines: SCALES.slice(SCALES.length - spatial).map((scale) => TOP_LINES / scale),
  };
};

/** @param {Tab} publisher @returns {Promise<{rows: any[], isDescribed: boolean}>} */
export const sums = (publisher) => publisher.ask(() => /** @type {any} */ (window).layers.sums());

/**
 * A publisher by WHIP and a viewer by our page, whose wishes are the test's from now on.
 * @param {{tab: (viewport?: {width: number, height: number}) => Promise<Tab>}} chromium
 * @param {{url: string}} site @param {string} server @param {string} room @param {Mode} mode
 */
export async function layersIn(chromium, site, server, room, mode) {
  const publisher = await chromium.tab({ width: 320, height: 200 });
  await publisher.open("/", site.url);
  await publisher.ask(
    ({ url, options }) => /** @type {any} */ (window).layers.publish(url, options),
    { url: `${server}/whip/${room}?participant=ada&display_name=Ada`, options: mode },
  );
  const viewer = await chromium.tab({ width: 1_300, height: 900 });
  await viewer.join(room, "Lin", { camera: "0", microphone: "0" });
  const found = await until(() => find(viewer, "Ada", "CAMERA"), { within: 20_000, what: "the picture is shown" });
  await viewer.ask(async ({ mid }) => {
    const { connection, pc } = /** @type {any} */ (window).plenum;
    const subscribe = connection.subscribe.bind(connection);
    connection.subscribe = () => {};
    const { receiver } = pc.getTransceivers().find((/** @type {any} */ each) => each.mid === mid);
    /** @type {Frame[]} */
    const frames = [];
    // Every decoded frame comes by, painted or not.
    const processor = new (/** @type {any} */ (window).MediaStreamTrackProcessor)({ track: receiver.track.clone(), maxBufferSize: 60 });
    const reader = processor.readable.getReader();
    (async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        frames.push({ at: performance.now(), time: value.timestamp / 1_000, lines: value.codedHeight });
        value.close();
      }
    })();
    Object.assign(window, { seen: { frames, subscribe, receiver } });
  }, { mid: found.mid });
  return {
    publisher,
    viewer,
    track: found.track,
    async close() {
      await publisher.ask(() => /** @type {any} */ (window).layers.stop()).catch(() => {});
      await Promise.all([publisher.close(), viewer.close()]);
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof layersIn>>} Shown */

/** @param {Shown} shown @param {number} height @returns {Promise<number>} the page's time then */
export const wishes = ({ viewer, track }, height) =>
  viewer.ask(({ track, height }) => {
    /** @type {any} */ (window).seen.subscribe({ tracks: [{ track, wanted: true, paused: false, height }] });
    return performance.now();
  }, { track, height });

/** Encoders want even sizes. @param {number|undefined} lines @param {number} wanted */
export const is = (lines, wanted) => lines !== undefined && Math.abs(lines - wanted) <= 1;

/** All frames so far. @param {Shown} shown @returns {Promise<Frame[]>} */
export const frames = ({ viewer }) => viewer.ask(() => /** @type {any} */ (window).seen.frames);

/** What the decoder says. @param {Shown} shown */
export const decoder = ({ viewer }) =>
  viewer.ask(async () => {
    /** @type {any} */
    let found = {};
    (await /** @type {any} */ (window).seen.receiver.getStats()).forEach((/** @type {any} */ row) => {
      if (row.type === "inbound-rtp") found = row;
    });
    const { framesReceived = 0, framesDecoded = 0, framesDropped = 0, freezeCount = 0, pliCount = 0, nackCount = 0, keyFramesDecoded = 0, frameHeight = 0 } = found;
    return { framesReceived, framesDecoded, framesDropped, freezeCount, pliCount, nackCount, keyFramesDecoded, frameHeight };
  });

/**
 * Waits for a picture of so many lines.
 * @param {Shown} shown @param {number} lines @param {number} within
 */
export const reaches = (shown, lines, within = 30_000) =>
  until(async () => is((await frames(shown)).at(-1)?.lines, lines), {
    within,
    every: 50,
    what: `${lines} lines are shown`,
    last: async () => ({ last: (await frames(shown)).slice(-2), sent: await sums(shown.publisher), decoder: await decoder(shown) }),
  });
