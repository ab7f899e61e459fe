// A viewer that is made to switch between the heights of one picture, and sees every decoded frame.

import { find } from "./media.js";
import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */

/**
 * A decoded frame: when it was read in milliseconds, its RTP timestamp, and its lines.
 * @typedef {{at: number, rtp: number|null, lines: number}} Frame
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
    encodings: [{ scalabilityMode, maxBitrate: 2_500_000 }],
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
  // The roster names the section before the offer that brings it is taken.
  const isOpen = (/** @type {{mid: string}} */ { mid }) =>
    viewer.ask((mid) => /** @type {any} */ (window).plenum.pc.getTransceivers().some((/** @type {any} */ each) => each.mid === mid), mid);
  const open = async () => {
    const found = await find(viewer, "Ada", "CAMERA");
    return found && (await isOpen(found)) ? found : null;
  };
  const found = await until(open, { within: 20_000, what: "the picture is shown" });
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
        frames.push({ at: performance.timeOrigin + performance.now(), rtp: value.metadata?.().rtpTimestamp ?? null, lines: value.codedHeight });
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
    return performance.timeOrigin + performance.now();
  }, { track, height });

/** Encoders want even sizes. @param {number|undefined} lines @param {number} wanted */
export const is = (lines, wanted) => lines !== undefined && Math.abs(lines - wanted) <= 1;

/** The layer the server says it gives. @param {Shown} shown @returns {Promise<{spatial: number, temporal: number}|undefined>} */
export const given = ({ viewer, track }) =>
  viewer.ask((track) => /** @type {any} */ (window).plenum.connection.roster.layers.get(track)?.layer, track);

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

/**
 * A switch: what came of a wish. `gap`: what lies between the last picture of the old layer and the
 * first of the new one, beyond a frame's interval; `slowest`: the longest such gap from the wish on; `lost`: pictures that were encoded between them
 * in both layers, so that one of them could have been shown; `waited`: from the wish to the first
 * picture. Milliseconds.
 * @typedef {{isUp: boolean, gap: number, slowest: number, lost: number, waited: number}} Switch
 */

/** What left the encoder: by RTP timestamp as the viewer has it, the spatial layers. @typedef {Map<number, Set<number>>} Encoded */

/**
 * Switches to and fro, so often; the first is down. Each stays a while. `control`: so many
 * milliseconds before them without any, for comparison.
 * @param {Shown} shown @param {Mode} mode @param {number} count @param {number} [control]
 */
export async function switches(shown, mode, count, control = 0) {
  const [low = 0] = mode.lines;
  await wishes(shown, TOP_LINES);
  await reaches(shown, TOP_LINES);
  await rest(shown, 3_000);
  const still = await decoder(shown);
  await rest(shown, control);
  const first = (await frames(shown)).length;
  const before = await decoder(shown);
  /** @type {{at: number, lines: number}[]} */
  const marks = [];
  for (let made = 0; made < count; made += 1) {
    const lines = made % 2 === 0 ? low : TOP_LINES;
    marks.push({ at: await wishes(shown, lines), lines });
    await reaches(shown, lines);
    await rest(shown, 800);
  }
  const after = await decoder(shown);
  const all = (await frames(shown)).slice(first);
  const encoded = mode.encodings.length === 1 ? await encodedIn(shown, all) : new Map();
  return { found: marks.map((mark) => read(all, mark, encoded)), missing: missing(all, encoded, marks), still, before, after, frames: all };
}

/** @param {Shown} shown @param {number} ms */
const rest = ({ viewer }, ms) => viewer.ask((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms);

/**
 * The server adds the same to every timestamp of one stream: what most differ by.
 * @param {Shown} shown @param {Frame[]} all @returns {Promise<Encoded>}
 */
async function encodedIn({ publisher }, all) {
  /** @type {[number, number][]} */
  const sent = await publisher.ask(() => /** @type {any} */ (window).layers.encoded);
  /** @type {Map<number, number>} */
  const votes = new Map();
  for (const { rtp } of all.slice(0, 60)) {
    for (const time of new Set(sent.map(([time]) => time))) {
      const offset = ((rtp ?? 0) - time) >>> 0;
      votes.set(offset, (votes.get(offset) ?? 0) + 1);
    }
  }
  const [offset = 0] = [...votes].sort(([, one], [, other]) => other - one)[0] ?? [];
  /** @type {Encoded} */
  const encoded = new Map();
  for (const [time, spatial] of sent) {
    const rtp = (time + offset) >>> 0;
    encoded.set(rtp, (encoded.get(rtp) ?? new Set()).add(spatial));
  }
  return encoded;
}

const INTERVAL = 1_000 / FPS;

/** Between two frames by their own clock. @param {Frame} earlier @param {Frame} later */
const apart = (earlier, later) => (((later.rtp ?? 0) - (earlier.rtp ?? 0)) | 0) / 90;

/**
 * Whether a picture came in all layers that there are: an encoder that spends too much leaves some
 * out, and what leans on them is not shown.
 * @param {Encoded} encoded
 */
function isWhole(encoded) {
  const top = Math.max(...[...encoded.values()].flatMap((each) => [...each]));
  return (/** @type {Set<number>} */ layers) => layers.size === top + 1;
}

/**
 * Pictures encoded in all layers, of which none was seen: how long after the last switch, in milliseconds.
 * @param {Frame[]} all @param {Encoded} encoded @param {{at: number}[]} marks
 */
function missing(all, encoded, marks) {
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) return [];
  const is = isWhole(encoded);
  const seen = new Set(all.map(({ rtp }) => rtp));
  const within = [...encoded].filter(([rtp]) => apart(first, { ...first, rtp }) > 0 && apart({ ...last, rtp }, last) > 0);
  const lost = within.filter(([rtp, layers]) => is(layers) && !seen.has(rtp));
  return lost.map(([rtp]) => {
    const before = all.findLast((frame) => apart(frame, { ...frame, rtp }) > 0) ?? first;
    const mark = marks.findLast(({ at }) => at <= before.at);
    return Math.round(before.at - (mark?.at ?? 0));
  });
}

/** @param {Frame[]} all @param {{at: number, lines: number}} mark @param {Encoded} encoded @returns {Switch} */
function read(all, { at, lines }, encoded) {
  const place = all.findIndex((frame) => frame.at >= at && is(frame.lines, lines));
  const [old, now] = [all[place - 1], all[place]];
  const isUp = lines === TOP_LINES;
  if (!old || !now) return { isUp, gap: NaN, slowest: NaN, lost: NaN, waited: NaN };
  const begun = Math.max(1, all.findIndex((frame) => frame.at >= at));
  const gaps = all.slice(begun, place + 1).map((frame, later) => apart(all[begun + later - 1] ?? frame, frame) - INTERVAL);
  const between = [...encoded].filter(([rtp]) => apart(old, { ...old, rtp }) > 0 && apart({ ...now, rtp }, now) > 0);
  const whole = isWhole(encoded);
  return { isUp, gap: apart(old, now) - INTERVAL, slowest: Math.max(...gaps), lost: between.filter(([, layers]) => whole(layers)).length, waited: now.at - at };
}
