// Who is shown large in the speaker view: whoever has spoken for a while, never oneself.

/** So long somebody speaks before the picture changes. */
const SPEECH_MS = 1_500;

export class SpeakerChoice {
  /** Who is shown. @type {string|null} */
  speaker = null;
  #changed;
  /** Who speaks now and is not shown yet. @type {string|null} */
  #candidate = null;
  #timer = 0;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @param {string|null} loudest of the others; null: nobody speaks */
  hear(loudest) {
    if (loudest === this.#candidate) return;
    this.#candidate = loudest;
    clearTimeout(this.#timer);
    if (loudest === null || loudest === this.speaker) return;
    this.#timer = setTimeout(() => {
      this.speaker = loudest;
      this.#changed();
    }, SPEECH_MS);
  }

  /** Chooses no more. */
  close() {
    clearTimeout(this.#timer);
  }
}
