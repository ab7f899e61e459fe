// What a tab really receives, by getStats(): who is seen and heard, in which codec and size.

import { until } from "./until.js";

/** @import {Tab} from "./tabs.js" */

/**
 * @typedef {{
 *   participant: string, source: string, kind: string, track: string, muted: boolean, mid: string|null,
 *   framesDecoded: number, width: number, height: number, codec: string, freezes: number,
 *   energy: number, samples: number, packets: number, paused: string
 * }} Received
 */

/**
 * @param {Tab} tab
 * @returns {Promise<Received[]>}
 */
export function received(tab) {
  return tab.ask(async () => {
    const { connection, pc, participants } = /** @type {any} */ (window).plenum;
    if (!pc) return [];
    const report = await pc.getStats();
    /** @type {Map<string, any>} */
    const byMid = new Map();
    report.forEach((/** @type {any} */ row) => {
      if (row.type !== "inbound-rtp") return;
      const mid = row.mid ?? pc.getTransceivers().find((/** @type {any} */ each) => each.receiver.track.id === row.trackIdentifier)?.mid;
      byMid.set(mid, { ...row, codec: report.get(row.codecId)?.mimeType?.split("/")[1] ?? "" });
    });
    return participants.flatMap((/** @type {any} */ { displayName, tracks }) =>
      tracks.map((/** @type {any} */ { track, kind, source, muted }) => {
        const mid = connection.roster.midOf(track);
        const row = byMid.get(mid) ?? {};
        return {
          participant: displayName,
          source,
          kind,
          track,
          muted,
          mid,
          framesDecoded: row.framesDecoded ?? 0,
          width: row.frameWidth ?? 0,
          height: row.frameHeight ?? 0,
          codec: row.codec ?? "",
          freezes: row.freezeCount ?? 0,
          energy: row.totalAudioEnergy ?? 0,
          samples: row.totalSamplesReceived ?? 0,
          packets: row.packetsReceived ?? 0,
          paused: connection.roster.paused.get(track) ?? "",
        };
      }),
    );
  });
}

/**
 * One track of one participant, or null.
 * @param {Tab} tab
 * @param {string} participant display name
 * @param {string} source
 */
export async function find(tab, participant, source) {
  return (await received(tab)).find((each) => each.participant === participant && each.source === source) ?? null;
}

/**
 * Waits until pictures of somebody are decoded, `frames` more than now.
 * @param {Tab} tab
 * @param {string} participant
 * @param {{source?: string, frames?: number, within?: number}} [options]
 */
export async function sees(tab, participant, { source = "CAMERA", frames = 5, within = 15_000 } = {}) {
  const before = (await find(tab, participant, source))?.framesDecoded ?? 0;
  return until(
    async () => {
      const now = await find(tab, participant, source);
      return now && now.framesDecoded >= before + frames && now.width > 0 ? now : null;
    },
    { within, what: `${frames} more frames of ${participant}'s ${source} are decoded`, last: () => received(tab) },
  );
}

/**
 * Waits until somebody's sound has energy.
 * @param {Tab} tab
 * @param {string} participant
 * @param {number} [within]
 */
export async function hears(tab, participant, within = 15_000) {
  const before = (await find(tab, participant, "MICROPHONE"))?.energy ?? 0;
  return until(
    async () => {
      const now = await find(tab, participant, "MICROPHONE");
      return now && now.energy > before ? now : null;
    },
    { within, what: `${participant} is heard`, last: () => received(tab) },
  );
}

/**
 * Waits until no frame of a track has been decoded for a while.
 * @param {Tab} tab
 * @param {string} participant
 * @param {{source?: string, still?: number, within?: number, field?: "framesDecoded"|"packets"}} [options]
 */
export async function stands(tab, participant, { source = "CAMERA", still = 1_000, within = 10_000, field = "framesDecoded" } = {}) {
  let last = -1;
  let since = performance.now();
  await until(
    async () => {
      const now = (await find(tab, participant, source))?.[field] ?? 0;
      if (now !== last) {
        last = now;
        since = performance.now();
      }
      return performance.now() - since >= still;
    },
    { within, what: `${participant}'s ${source} stands still for ${still} ms`, last: () => find(tab, participant, source) },
  );
}

/**
 * Waits until the roster shows exactly these others.
 * @param {Tab} tab
 * @param {string[]} names
 * @param {number} [within]
 */
export async function others(tab, names, within = 15_000) {
  const look = () => tab.ask(() => /** @type {any} */ (window).plenum.participants.map((/** @type {any} */ { displayName }) => displayName));
  const wanted = JSON.stringify([...names].sort());
  await until(async () => JSON.stringify((await look()).sort()) === wanted, {
    within,
    what: `the others are ${names.join(", ") || "nobody"}`,
    last: look,
  });
}

/**
 * Watches several tabs for a while and counts pictures that stood still.
 *
 * Frozen: framesDecoded unchanged for 2 s, counted from 2 s after the first frame.
 * @param {{tab: Tab, sees: string[]}[]} watched
 * @param {number} forMs
 * @returns {Promise<{tile: string, frozen: number, frames: number}[]>}
 */
export async function watch(watched, forMs) {
  /** @type {Map<string, {first: number, frames: number, changed: number, frozen: number, isFrozen: boolean}>} */
  const tiles = new Map();
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    await Promise.all(watched.map(async ({ tab, sees: names }, index) => {
      const all = await received(tab);
      const now = performance.now();
      for (const name of names) {
        const frames = all.find((each) => each.participant === name && each.source === "CAMERA")?.framesDecoded ?? 0;
        const key = `${index}:${name}`;
        const tile = tiles.get(key) ?? { first: 0, frames: 0, changed: now, frozen: 0, isFrozen: false };
        if (tile.first === 0 && frames > 0) tile.first = now;
        if (frames !== tile.frames) {
          tile.frames = frames;
          tile.changed = now;
          tile.isFrozen = false;
        } else if (tile.first > 0 && now - Math.max(tile.changed, tile.first + 2_000) >= 2_000 && !tile.isFrozen) {
          tile.isFrozen = true;
          tile.frozen += 1;
        }
        tiles.set(key, tile);
      }
    }));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return [...tiles].map(([tile, { frozen, frames }]) => ({ tile, frozen, frames }));
}
