// Listening to one's own microphone: how loud it is, whether it is dead, and whether somebody
// speaks into it while it is muted. A copy of the track is heard, which muting does not silence.

import { Emitter } from "../plenum/emitter.js";

/** How often it is looked at: often enough for a level that seems alive. */
const LOOK_MS = 50;
/** Exactly nothing for so long: no room is that quiet, the device is. */
const DEAD_MS = 8_000;
/** Louder than this, for so long, is speech and no cough. */
const SPEECH_DECIBELS = -38;
const SPEECH_MS = 400;
/** A pause within a word ends nothing. */
const PAUSE_MS = 300;

/**
 * - `level`: 0 to 5 bars
 * - `dead`: whether there has been exactly nothing for 8 s
 * - `speech`: somebody began to speak
 * @extends {Emitter<{level: number, dead: boolean, speech: void}>}
 */
export class Hearing extends Emitter {
  #audio;
  #copy;
  #analyser;
  #samples;
  #timer = 0;
  #bars = -1;
  #isDead = false;
  /** @type {number|null} */
  #nothingSince = null;
  #loudSince = 0;
  #loudLast = 0;
  #isSpeech = false;

  /** @param {MediaStreamTrack} track */
  constructor(track) {
    super();
    this.#audio = new AudioContext();
    this.#copy = track.clone();
    this.#copy.enabled = true;
    this.#analyser = this.#audio.createAnalyser();
    this.#analyser.fftSize = 2_048;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#audio.createMediaStreamSource(new MediaStream([this.#copy])).connect(this.#analyser);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  #look() {
    const now = performance.now();
    // Before the first click some browsers hold the clock: that says nothing of the device.
    if (this.#audio.state !== "running") {
      void this.#audio.resume().catch(() => {});
      this.#nothingSince = null;
      return;
    }
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let power = 0;
    for (const sample of this.#samples) power += sample * sample;
    this.#judgeDead(power === 0, now);
    const decibels = 10 * Math.log10(power / this.#samples.length + 1e-9);
    this.#judgeSpeech(decibels > SPEECH_DECIBELS, now);
    // -60 dB shows nothing, speech at about -20 dB fills four of five bars.
    const bars = Math.max(0, Math.min(5, Math.round((decibels + 60) / 10)));
    if (bars === this.#bars) return;
    this.#bars = bars;
    this.emit("level", bars);
  }

  /** @param {boolean} isNothing @param {number} now */
  #judgeDead(isNothing, now) {
    if (!isNothing) this.#nothingSince = null;
    else this.#nothingSince ??= now;
    const isDead = this.#nothingSince !== null && now - this.#nothingSince >= DEAD_MS;
    if (isDead === this.#isDead) return;
    this.#isDead = isDead;
    this.emit("dead", isDead);
  }

  /** @param {boolean} isLoud @param {number} now */
  #judgeSpeech(isLoud, now) {
    if (isLoud) {
      if (now - this.#loudLast > PAUSE_MS) this.#loudSince = now;
      this.#loudLast = now;
    }
    const isSpeech = now - this.#loudLast <= PAUSE_MS && this.#loudLast - this.#loudSince >= SPEECH_MS;
    if (isSpeech && !this.#isSpeech) this.emit("speech", undefined);
    this.#isSpeech = isSpeech;
  }

  /** Stops listening and gives the copy back. */
  close() {
    clearInterval(this.#timer);
    this.#copy.stop();
    void this.#audio.close();
  }
}
