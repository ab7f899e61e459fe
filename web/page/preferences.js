// What this browser remembers for its user between meetings: a name, devices, switches.

/**
 * @typedef {{
 *   name: string, language: ""|"en"|"zh-CN", keys: "on"|"off", chime: "on"|"off",
 *   microphone: string, camera: string, speaker: string, share: "detail"|"motion"
 * }} Preferences `microphone`, `camera`, `speaker`: device ids, empty for the browser's choice
 */

/** @type {Preferences} */
const DEFAULTS = { name: "", language: "", keys: "on", chime: "on", microphone: "", camera: "", speaker: "", share: "detail" };

/** For this page only, where the browser keeps nothing.
 * @type {Map<string, string>} */
const unkept = new Map();

/**
 * @template {keyof Preferences} Key
 * @param {Key} key
 * @returns {Preferences[Key]}
 */
export function preference(key) {
  let kept = unkept.get(key) ?? null;
  try {
    kept ??= localStorage.getItem(`plenum.${key}`);
  } catch {
    // Storage is forbidden: what was set on this page is all there is.
  }
  return /** @type {any} */ (kept ?? DEFAULTS[key]);
}

/**
 * @template {keyof Preferences} Key
 * @param {Key} key
 * @param {Preferences[Key]} value
 */
export function prefer(key, value) {
  try {
    localStorage.setItem(`plenum.${key}`, value);
  } catch {
    unkept.set(key, value);
  }
}
