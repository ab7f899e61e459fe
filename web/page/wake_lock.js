// Keeps the screen on while a meeting is on it.

export class WakeLock {
  /** @type {WakeLockSentinel|null} */
  #lock = null;
  #isOver = false;
  // The browser lets go of it whenever the page is hidden.
  #onVisibility = () => void this.#take();

  constructor() {
    document.addEventListener("visibilitychange", this.#onVisibility);
    void this.#take();
  }

  async #take() {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    // Refused on a low battery: then the screen goes dark as it would anyway.
    this.#lock = await navigator.wakeLock.request("screen").catch(() => null);
    if (this.#isOver) this.close();
  }

  close() {
    this.#isOver = true;
    document.removeEventListener("visibilitychange", this.#onVisibility);
    void this.#lock?.release().catch(() => {});
  }
}
