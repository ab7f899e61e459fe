// Two short notes when somebody comes, as long as that is news.

import { preference } from "./preferences.js";

/** In a larger meeting somebody always comes. */
export const CHIME_PEOPLE_MAX = 10;

/** @type {AudioContext|null} */
let audio = null;

/**
 * @param {number} people how many are there now
 */
export function chime(people) {
  if (preference("chime") === "off" || people > CHIME_PEOPLE_MAX) return false;
  audio ??= new AudioContext();
  // Without a click on the page there is no sound; that is the browser's right.
  if (audio.state === "suspended") void audio.resume().catch(() => {});
  play(audio, audio.destination);
  return true;
}

/**
 * Plays the two notes.
 * @param {AudioContext} context
 * @param {AudioNode} into
 */
export function play(context, into) {
  [660, 880].forEach((frequency, index) => {
    const note = context.createOscillator();
    const volume = context.createGain();
    const start = context.currentTime + index * 0.14;
    note.frequency.value = frequency;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.12, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.3);
    note.connect(volume).connect(into);
    note.start(start);
    note.stop(start + 0.32);
  });
}
