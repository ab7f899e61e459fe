// What a tab sends of its camera, rung by rung, by getStats().

/** @import {Tab} from "./tabs.js" */

/** @typedef {{rid: string, active: boolean, frames: number, lines: number, bytes: number}} SentRung */

/**
 * Lowest first.
 * @param {Tab} tab
 * @returns {Promise<SentRung[]>}
 */
export function sentRungs(tab) {
  return tab.ask(async () => {
    const { pc, connection } = /** @type {any} */ (window).plenum;
    if (!pc) return [];
    const mid = connection.stay.midOf("CAMERA");
    const sender = pc.getTransceivers().find((/** @type {any} */ each) => each.mid === mid)?.sender;
    if (!sender) return [];
    /** @type {Map<string, any>} */
    const rows = new Map();
    (await sender.getStats()).forEach((/** @type {any} */ row) => {
      if (row.type === "outbound-rtp") rows.set(row.rid ?? "", row);
    });
    return sender.getParameters().encodings.map((/** @type {any} */ { rid, active }) => {
      const row = rows.get(rid ?? "") ?? {};
      return {
        rid: rid ?? "",
        active,
        frames: row.framesEncoded ?? 0,
        lines: row.frameHeight ?? 0,
        bytes: row.bytesSent ?? 0,
      };
    });
  });
}
