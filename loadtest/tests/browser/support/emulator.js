// A bad network between browsers and the server, or between two browsers: `loadtest emulate`, told
// by lines. Links have a near end (the weak participant's) and two directions, up and down.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { HOST } from "./server.js";

const BINARY = fileURLToPath(new URL("../../../../target/debug/loadtest", import.meta.url));

/**
 * @typedef {{
 *   sent: number, sent_bytes: number, lost: number, overflowed: number, delivered: number,
 *   delivered_bytes: number, queue_ms_max: number
 * }} LaneStats `queue_ms_max`: since the last look
 * @typedef {{
 *   at_ms: number, late: number, late_ms_max: number, unread: number,
 *   links: {[link: string]: [LaneStats, LaneStats]}, flows: {[flow: string]: [number, number]}
 * }} EmulatorStats `links`, `flows`: up, down; `late_ms_max`: this machine's doing, since the last look
 */

/** True where it can be started. */
export const hasEmulator = existsSync(process.env.PLENUM_LOADTEST ?? BINARY);

/**
 * Starts it.
 * @param {{seed?: number}} [options]
 */
export async function startEmulator({ seed = 1 } = {}) {
  const binary = process.env.PLENUM_LOADTEST ?? BINARY;
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build -p loadtest, or set PLENUM_LOADTEST`);
  // It is the ruler: before the browsers, where we may say so; elsewhere nice only complains.
  const child = spawn("nice", ["-n", "-10", binary, "emulate", "--address", HOST, "--seed", String(seed)], { stdio: ["pipe", "pipe", "ignore"] });
  /** Those whose answers are due, oldest first. @type {((answer: any) => void)[]} */
  const due = [];
  createInterface({ input: child.stdout }).on("line", (line) => due.shift()?.(JSON.parse(line)));
  child.on("exit", () => {
    for (const answer of due.splice(0)) answer({ error: "the emulator has ended" });
  });
  /** @param {string} line @returns {Promise<any>} */
  const tell = async (line) => {
    const answer = await new Promise((resolve) => {
      due.push(resolve);
      child.stdin.write(`${line}\n`);
    });
    if (answer.error) throw new Error(`${line}: ${answer.error}`);
    return answer;
  };
  return {
    /** @param {string} line as in `loadtest/src/emulator/order.rs` */
    tell,
    /**
     * A port before the server's; all who come there share the link.
     * @param {string} name @param {string} link @param {number} port of the server
     * @returns {Promise<number>}
     */
    forward: async (name, link, port) => (await tell(`forward ${name} link=${link} to=${HOST}:${port}`)).port,
    /**
     * Two ports between two browsers: `near` is told to the one behind the link, `far` to the other.
     * @param {string} name @param {string} link
     * @returns {Promise<{near: number, far: number}>}
     */
    pair: (name, link) => tell(`pair ${name} link=${link}`),
    /** @returns {Promise<EmulatorStats>} */
    stats: () => tell("stats"),
    /** @param {string} name of a forward or pair */
    close: (name) => tell(`close ${name}`),
    async stop() {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      child.stdin.end();
      await gone;
    },
  };
}
