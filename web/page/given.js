// What the server gives of a picture, and why, in words.

import { say } from "../strings.js";

/** @import {Estimate, GivenLayer} from "../plenum/messages.js" */

/** @param {GivenLayer} given */
export function reasonOf({ reason, needed_bitrate_bps: needed = 0, available_bitrate_bps: available = 0, hold_ms: hold = 0 }) {
  const figures = /** @type {const} */ ([kilobits(needed), kilobits(available)]);
  switch (reason) {
    case "FULL":
      return say("givenFull");
    case "WANTED_SIZE":
      return say("givenWantedSize");
    case "BUDGET":
      return say("givenBudget", ...figures);
    case "PAUSED":
      return say("pausedNeeds", ...figures);
    case "HELD":
      return say("givenHeld", Math.ceil(hold / 1_000));
    case "MAY_NOT_PAUSE":
      return say("givenMayNotPause", ...figures);
    case "NO_LAYER":
      return say("givenNoLayer");
    default:
      return say("pausedOutOfSight");
  }
}

/**
 * What stands on a tile whose picture does not fit.
 * @param {GivenLayer|undefined} given
 */
export function starved(given) {
  return given?.reason === "PAUSED" ? reasonOf(given) : say("pausedBandwidth");
}

/** @param {Estimate["cause"]} cause */
export function causeOf(cause) {
  switch (cause) {
    case "UNUSED":
      return say("causeUnused");
    case "QUEUE":
      return say("causeQueue");
    case "LOSS":
      return say("causeLoss");
    case "SILENCE":
      return say("causeSilence");
    default:
      return say("causeGrowing");
  }
}

/** @param {number} bps */
function kilobits(bps) {
  return Math.round(bps / 1_000);
}
