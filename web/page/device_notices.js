// Says what happens to one's devices during a meeting, each once and with what can be done.

import { say } from "../strings.js";

/** @import {Devices} from "./devices.js" */
/** @import {Toasts} from "./notices.js" */

/** Who goes on speaking while muted is told again after so long. */
const MUTED_AGAIN_MS = 30_000;

/**
 * @param {Devices} devices
 * @param {Toasts} toasts
 * @param {() => boolean} maySpeak whether who is muted could do something about it
 * @returns {() => void} stops it
 */
export function noticeDevices(devices, toasts, maySpeak) {
  let toldMuted = -MUTED_AGAIN_MS;
  /** @type {Set<string>} */
  let told = new Set(devices.problems.map(({ text }) => text));
  const off = [
    devices.on("changed", () => {
      for (const problem of devices.problems) {
        if (!told.has(problem.text)) sayProblem(devices, toasts, problem);
      }
      told = new Set(devices.problems.map(({ text }) => text));
    }),
    devices.on("switched", ({ label }) => toasts.show(say("switchedTo", label))),
    devices.on("offered", ({ kind, id, label }) => {
      toasts.show(say("useDevice", label), { label: say("use"), run: () => void devices.choose(kind, id) });
    }),
    devices.on("dead", (isDead) => {
      if (isDead) toasts.show(say("cannotHearYou"));
    }),
    devices.on("speech", () => {
      const now = performance.now();
      if (devices.microphoneOn || !devices.microphone || !maySpeak() || now - toldMuted < MUTED_AGAIN_MS) return;
      toldMuted = now;
      toasts.show(say("youAreMuted"));
    }),
  ];
  return () => off.forEach((each) => each());
}

/**
 * @param {Devices} devices
 * @param {Toasts} toasts
 * @param {import("./devices.js").Problem} problem
 */
export function sayProblem(devices, toasts, problem) {
  toasts.show(problem.text, { label: say("retry"), run: () => void devices.retry(problem) });
}
