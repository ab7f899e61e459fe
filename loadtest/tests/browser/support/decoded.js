// Figures out of what getStats() says of a decoder and the emulator of a link, sample by sample.
// Knows no clock and no browser: gaps are the decoder's own, however late a sample was taken.

/**
 * What a viewer's decoder said at a moment, in ms and counters since its start; `queue`: of the
 * link, longest since the sample before; `sent`: bytes handed to the link; `painted`: the longest
 * gap of the source since the sample before, this machine's doing.
 * @typedef {{
 *   at: number, frames: number, delay: number, squared: number, height: number, bytes: number,
 *   concealed: number, samples: number, frozen: number, queue: number, sent: number,
 *   painted: number, source: number, late: number
 * }} Sample `source`: frames that the publisher's best rung has sent
 */

/** @param {Sample[]} samples @param {number} from @param {number} [to] */
export const between = (samples, from, to = Infinity) => samples.filter(({ at }) => at >= from && at <= to);

/** @template T @param {T[]} list @returns {[T, T][]} */
const pairs = (list) => list.slice(1).map((each, index) => [/** @type {T} */ (list[index]), each]);

/** How much a counter has grown. @param {Sample[]} samples @param {keyof Sample} counter */
export function growth(samples, counter) {
  const [first, last] = [samples[0], samples.at(-1)];
  return first && last ? last[counter] - first[counter] : 0;
}

/** @param {Sample[]} samples */
export const duration = (samples) => growth(samples, "at");

/**
 * The longest gap between two pictures, ms. Of the n gaps between two samples the decoder tells the
 * sum and the sum of squares: the longest is at most the mean and sqrt(n - 1) deviations
 * (Samuelson 1968), and exactly that where the others are alike. A picture that stands at the end
 * has stood since it changed.
 * @param {Sample[]} samples
 */
export function longestGap(samples) {
  let longest = 0;
  let changed = samples[0]?.at ?? 0;
  for (const [before, after] of pairs(samples)) {
    const count = after.frames - before.frames;
    if (count > 0) {
      const mean = (after.delay - before.delay) / count;
      const variance = Math.max(0, (after.squared - before.squared) / count - mean * mean);
      longest = Math.max(longest, mean + Math.sqrt(variance * (count - 1)));
      changed = after.at;
    } else {
      longest = Math.max(longest, after.at - changed);
    }
  }
  return longest;
}

/** Of all sound, the part that was made up, in %. @param {Sample[]} samples */
export const concealed = (samples) => percent(growth(samples, "concealed"), growth(samples, "samples"));

/** Of the time, the part in which the picture was frozen as the browser defines it, in %. @param {Sample[]} samples */
export const frozen = (samples) => percent(growth(samples, "frozen"), duration(samples));

/** kb/s of pictures. @param {Sample[]} samples */
export const bitrate = (samples) => (growth(samples, "bytes") * 8) / Math.max(1, duration(samples));

/** Pictures that were sent and never decoded, in %. @param {Sample[]} samples */
export const undecoded = (samples) => Math.max(0, 100 - percent(growth(samples, "frames"), growth(samples, "source")));

/**
 * Milliseconds after `from` until the picture is `height` high; null: never.
 * @param {Sample[]} samples @param {number} from @param {number} height
 */
export function reaches(samples, from, height) {
  const found = samples.find((sample) => sample.at >= from && sample.height >= height);
  return found ? found.at - from : null;
}

/**
 * Milliseconds after `from` until what is sent into the link stays under `kbps` for a second.
 * @param {Sample[]} samples @param {number} from @param {number} kbps
 */
export function underRate(samples, from, kbps) {
  const found = between(samples, from).find(({ at }) => {
    const second = between(samples, at, at + 1_100);
    return duration(second) >= 800 && (growth(second, "sent") * 8) / duration(second) <= kbps;
  });
  return found ? found.at - from : null;
}

/**
 * Milliseconds after `from` until the queue is shorter than `ms` and stays so.
 * @param {Sample[]} samples @param {number} from @param {number} ms
 */
export function drained(samples, from, ms) {
  const after = between(samples, from);
  const last = after.findLastIndex(({ queue }) => queue >= ms);
  const next = after[last + 1];
  return next ? next.at - from : null;
}

/** @param {number[]} values @param {number} part */
export function percentile(values, part) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

/** @param {number} part @param {number} whole */
const percent = (part, whole) => (whole > 0 ? (100 * part) / whole : 0);
