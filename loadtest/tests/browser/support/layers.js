// A viewer that is made to switch between the heights of one picture, and sees every decoded frame.

import { find } from "./media.js";
import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */

/**
 * A decoded frame: when it was read in milliseconds, its RTP timestamp, and its lines; `taken`: the
 * timestamp its publisher gave it, all layers and rungs on one clock.
 * @typedef {{at: number, rtp: number|null, lines: number, taken?: number}} Frame
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
 * first of the new one, beyond a frame's interval; `skipped`: the pictures that were taken between the
 * two, which is the same told without the camera's own pauses; `slowest`: the longest such gap from the wish on;
 * `paused`: the longest time within the gap, beyond an interval, in which its publisher encoded
 * nothing; `lost`: pictures that were encoded between them and could have been shown ([`couldShow`]);
 * `waited`: from the wish to the first picture. Milliseconds.
 * @typedef {{isUp: boolean, gap: number, skipped: number, slowest: number, paused: number, lost: number, waited: number}} Switch
 */

/** What left the encoder: by RTP timestamp, the layers or rungs. @typedef {Map<number, Set<number>>} Encoded */
/** What came to it: RTP timestamps that it gives these pictures, or would. @typedef {number[]} Captured */
/** What its page noted of it. @typedef {[rtp: number, spatial: number, ssrc: number, lines: number, at: number]} Noted */
/** One layer or rung of a picture. @typedef {{time: number, layer: number, at: number}} Part */

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
  const every = await frames(shown);
  const { encoded, captured } = await encodedIn(shown, mode, every);
  const all = every.slice(first);
  return { found: marks.map((mark) => read(all, mark, mode, encoded, captured)), missing: missing(all, mode, encoded, marks), still, before, after, frames: all };
}

/** @param {Shown} shown @param {number} ms */
const rest = ({ viewer }, ms) => viewer.ask((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms);

/**
 * What left the encoder. Tells each frame when it was taken: the server adds the same to every
 * timestamp of one stream, and something else after each switch to another.
 * @param {Shown} shown @param {Mode} mode @param {Frame[]} all @returns {Promise<{encoded: Encoded, captured: Captured}>}
 */
async function encodedIn({ publisher }, mode, all) {
  /** @type {Noted[]} */
  const noted = await publisher.ask(() => /** @type {any} */ (window).layers.encoded);
  const isOneStream = mode.encodings.length === 1;
  const parts = isOneStream ? noted.map(([time, layer, , , at]) => ({ time, layer, at })) : onOneClock(noted, mode);
  const runs = isOneStream ? [all] : sittings(all);
  const longest = runs.reduce((best, run, place) => (run.length > (runs[best]?.length ?? 0) ? place : best), 0);
  const of = (/** @type {Frame[]} */ run) => (isOneStream ? parts : parts.filter(({ layer }) => is(run[0]?.lines, mode.lines[layer] ?? 0)));
  const sure = offsetOf(runs[longest] ?? [], of(runs[longest] ?? []));
  if (sure === undefined) throw new Error(`no frame of ${mode.name} is one of those that were encoded`);
  for (const order of [runs.slice(longest), runs.slice(0, longest).reverse()]) {
    let offset = sure;
    for (const run of order) {
      offset = offsetOf(run, of(run), offset) ?? offset;
      for (const frame of run) frame.taken = ((frame.rtp ?? 0) - offset) >>> 0;
    }
  }
  /** @type {Encoded} */
  const encoded = new Map();
  for (const { time, layer } of parts) encoded.set(time, (encoded.get(time) ?? new Set()).add(layer));
  return { encoded, captured: await capturedIn(publisher, parts) };
}

/**
 * What came to the encoder, on the clock of what left it: both have a clock of their own, apart by the
 * same all the time, but that RTP's counts whole milliseconds.
 * @param {Tab} publisher @param {Part[]} parts @returns {Promise<Captured>}
 */
async function capturedIn(publisher, parts) {
  /** @type {[micros: number, at: number][]} */
  const noted = await publisher.ask(() => /** @type {any} */ (window).layers.captured);
  /** @type {Map<number, number>} */
  const votes = new Map();
  for (const { time, at } of parts.slice(0, 300)) {
    for (const [micros, came] of noted) {
      if (Math.abs(at - came) > 500) continue;
      const offset = Math.round((time / 90 - micros / 1_000) % CLOCK_MS);
      for (const near of [offset - 1, offset, offset + 1]) votes.set(near, (votes.get(near) ?? 0) + 1);
    }
  }
  const offset = [...votes].sort(([, one], [, other]) => other - one)[0]?.[0];
  if (offset === undefined) throw new Error("no picture that was encoded is one of those that were taken");
  return noted.map(([micros]) => Math.round((micros / 1_000 + offset) * 90) >>> 0);
}

/** So often an RTP timestamp of pictures comes around. */
const CLOCK_MS = 2 ** 32 / 90;
/** Timestamps that are less apart are of one picture. */
const SAME_MS = 5;

/** A frame is seen within this after it was encoded, in milliseconds. */
const SEEN_WITHIN = 2_000;
/** From one stream to the next the server's clock is off by no more than this, in ticks of 90 kHz. */
const OFF_MOST = 200 * 90;

/**
 * What most frames of one stream have their timestamps above those that were encoded shortly before
 * they were seen; of several the one next to `near`.
 * @param {Frame[]} run @param {Part[]} parts @param {number} [near] @returns {number|undefined}
 */
function offsetOf(run, parts, near) {
  const away = (/** @type {number} */ offset) => (near === undefined ? 0 : Math.abs((offset - near) | 0));
  /** @type {Map<number, number>} */
  const votes = new Map();
  for (const { at, rtp } of run.slice(0, 60)) {
    const times = new Set(parts.filter((part) => part.at <= at && at - part.at < SEEN_WITHIN).map(({ time }) => time));
    for (const time of times) {
      const offset = ((rtp ?? 0) - time) >>> 0;
      if (away(offset) <= OFF_MOST) votes.set(offset, (votes.get(offset) ?? 0) + 1);
    }
  }
  return [...votes].sort(([one, more], [other, most]) => most - more || away(one) - away(other))[0]?.[0];
}

/** Frames of one size that follow each other. @param {Frame[]} all */
function sittings(all) {
  /** @type {Frame[][]} */
  const found = [];
  for (const frame of all) {
    const last = found.at(-1);
    if (last && last[0]?.lines === frame.lines) last.push(frame);
    else found.push([frame]);
  }
  return found;
}

/**
 * Each rung has timestamps of its own: all on the clock of the first. The rungs of one picture leave the
 * encoder one after the other.
 * @param {Noted[]} noted @param {Mode} mode @returns {Part[]}
 */
function onOneClock(noted, mode) {
  const streams = [...new Set(noted.map(([, , ssrc]) => ssrc))];
  return streams.flatMap((stream) => {
    const own = noted.filter(([, , ssrc]) => ssrc === stream);
    const lines = own.reduce((most, [, , , lines]) => Math.max(most, lines), 0);
    const layer = mode.lines.findIndex((each) => is(lines, each));
    if (layer < 0) throw new Error(`${mode.name}: a rung of ${lines} lines was encoded`);
    /** @type {Map<number, number>} */
    const votes = new Map();
    noted.forEach(([time, , ssrc], place) => {
      if (ssrc !== stream) return;
      for (const [first, , other] of noted.slice(Math.max(0, place - 3), place + 4)) {
        if (other === streams[0]) votes.set((time - first) >>> 0, (votes.get((time - first) >>> 0) ?? 0) + 1);
      }
    });
    const offset = [...votes].sort(([, one], [, other]) => other - one)[0]?.[0];
    if (offset === undefined) throw new Error(`${mode.name}: the clock of ${lines} lines is not known`);
    return own.map(([time, , , , at]) => ({ time: (time - offset) >>> 0, layer, at }));
  });
}

const INTERVAL = 1_000 / FPS;

/** Between two timestamps, in milliseconds. @param {number} earlier @param {number} later */
const apart = (earlier, later) => ((later - earlier) | 0) / 90;

/** @param {Frame} earlier @param {Frame} later */
const seenApart = (earlier, later) => apart(earlier.rtp ?? 0, later.rtp ?? 0);

/**
 * Whether a picture could have been shown to one who is given what has so many lines. Of layers that
 * lean on each other: where all were encoded, for an encoder that spends too much leaves some out, and
 * what leans on them is not shown.
 * @param {Mode} mode @param {Encoded} encoded @param {number} lines @returns {(layers: Set<number>) => boolean}
 */
function couldShow(mode, encoded, lines) {
  const own = mode.lines.findIndex((each) => is(lines, each));
  if (mode.encodings.length > 1 || own === 0) return (layers) => layers.has(own);
  const top = [...encoded.values()].reduce((most, each) => Math.max(most, ...each), 0);
  return (layers) => layers.size === top + 1;
}

/**
 * Pictures that could have been shown and were not: how long after the last switch, in milliseconds.
 * @param {Frame[]} all @param {Mode} mode @param {Encoded} encoded @param {{at: number}[]} marks
 */
function missing(all, mode, encoded, marks) {
  const [begin, end] = [all[0]?.taken, all.at(-1)?.taken];
  if (begin === undefined || end === undefined) return [];
  const seen = new Set(all.map(({ taken }) => taken));
  const could = new Map([...new Set(all.map(({ lines }) => lines))].map((lines) => [lines, couldShow(mode, encoded, lines)]));
  return [...encoded].flatMap(([time, layers]) => {
    if (apart(begin, time) <= 0 || apart(time, end) <= 0 || seen.has(time)) return [];
    const before = all.findLast(({ taken }) => apart(taken ?? time, time) > 0);
    if (!before || !could.get(before.lines)?.(layers)) return [];
    const mark = marks.findLast(({ at }) => at <= before.at);
    return [Math.round(before.at - (mark?.at ?? 0))];
  });
}

/**
 * @param {Frame[]} all @param {{at: number, lines: number}} mark @param {Mode} mode @param {Encoded} encoded
 * @param {Captured} captured @returns {Switch}
 */
function read(all, { at, lines }, mode, encoded, captured) {
  const place = all.findIndex((frame) => frame.at >= at && is(frame.lines, lines));
  const [old, now] = [all[place - 1], all[place]];
  const isUp = lines === TOP_LINES;
  if (!old || !now) return { isUp, gap: NaN, skipped: NaN, slowest: NaN, paused: NaN, lost: NaN, waited: NaN };
  const begun = Math.max(1, all.findIndex((frame) => frame.at >= at));
  const gaps = all.slice(begun, place + 1).map((frame, later) => seenApart(all[begun + later - 1] ?? frame, frame) - INTERVAL);
  const [from, to] = [old.taken ?? 0, now.taken ?? 0];
  const between = [...encoded].filter(([time]) => apart(from, time) > 0 && apart(time, to) > 0);
  const times = [from, ...between.map(([time]) => time).sort((one, other) => apart(other, one)), to];
  const pauses = times.slice(1).map((time, place) => apart(times[place] ?? time, time) - INTERVAL);
  const could = couldShow(mode, encoded, old.lines);
  return {
    isUp,
    gap: seenApart(old, now) - INTERVAL,
    skipped: captured.filter((time) => apart(from, time) > SAME_MS && apart(time, to) > SAME_MS).length,
    slowest: Math.max(...gaps),
    paused: Math.max(0, ...pauses),
    lost: between.filter(([, layers]) => could(layers)).length,
    waited: now.at - at,
  };
}
