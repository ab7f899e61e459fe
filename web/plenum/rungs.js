// What a picture of ours is sent in: up to three sizes of a camera at once (simulcast, RFC 8853), so
// that the server can give each viewer what its path carries and its tile shows; one of a screen,
// whose text would not survive being made smaller. And which of them the server wants now.

/** @import {Source} from "./messages.js" */

/** Lowest first. Where a picture is too small for three, the first ones are used: browsers keep the
 * beginning of the list where they drop some. */
const RIDS = ["l", "m", "h"];
/** How much smaller than the camera each may be. */
const SCALES = [4, 2, 1];
/** Fewer lines than this are not worth a rung of their own. */
const LINES_MIN = 180;
/** Of a camera that has not said its size yet. */
const LINES_USUAL = 720;
/** 180 lines get this, twice the lines 3.4 times as much: 150, 500 and 1,700 kb/s for 720 lines. */
const BITRATE_OF_180 = 150_000;
const GROWTH = 1.75;
/** Of a shared screen. */
const SCREEN = { bitrate: 2_500_000, detail: 15, motion: 30 };

/**
 * @param {Source} source
 * @param {MediaStreamTrack|null} track
 * @param {Set<string>} [wanted] rids the server has use for; none: it has not said
 * @returns {RTCRtpEncodingParameters[]}
 */
export function encodingsOf(source, track, wanted) {
  if (source === "SCREEN") {
    const maxFramerate = track?.contentHint === "motion" ? SCREEN.motion : SCREEN.detail;
    return [{ maxBitrate: SCREEN.bitrate, maxFramerate }];
  }
  const { width = 0, height = 0 } = track?.getSettings() ?? {};
  // Upright or not, it is the shorter side that counts as lines.
  const lines = Math.min(width || height, height || width) || LINES_USUAL;
  const scales = SCALES.filter((scale) => scale === 1 || lines / scale >= LINES_MIN);
  return RIDS.map((rid, place) => {
    const scale = scales[place];
    return {
      rid,
      active: scale !== undefined && (wanted?.has(rid) ?? true),
      scaleResolutionDownBy: scale ?? 1,
      maxBitrate: bitrateOf(lines / (scale ?? 1)),
      // Without it Chromium takes three sizes of VP9 for layers of one stream.
      scalabilityMode: "L1T3",
    };
  });
}

/** @param {number} lines */
function bitrateOf(lines) {
  return Math.round((BITRATE_OF_180 * (lines / LINES_MIN) ** GROWTH) / 10_000) * 10_000;
}

/**
 * Sets a sender to what `encodingsOf` says, as far as it may still be changed: rungs and their names
 * stand from the beginning.
 * @param {RTCRtpSender} sender
 * @param {RTCRtpEncodingParameters[]} encodings
 * @returns {Promise<void>|undefined} nothing to do: undefined
 */
export function setEncodings(sender, encodings) {
  const parameters = sender.getParameters();
  let isChanged = false;
  for (const [place, encoding] of (parameters.encodings ?? []).entries()) {
    const wanted = encodings.find(({ rid }) => rid === encoding.rid) ?? encodings[place];
    if (!wanted) continue;
    for (const key of /** @type {const} */ (["active", "scaleResolutionDownBy", "maxBitrate", "maxFramerate"])) {
      if (wanted[key] === undefined || wanted[key] === encoding[key]) continue;
      Object.assign(encoding, { [key]: wanted[key] });
      isChanged = true;
    }
  }
  return isChanged ? sender.setParameters(parameters) : undefined;
}
