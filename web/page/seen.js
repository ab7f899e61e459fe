// Up to which message the chat has been read, across a reload and a rejoin in this tab. Times are
// the server's, as they stand on every message, so no clock of ours is compared with them.

/** This tab only, where the browser keeps nothing.
 * @type {Map<string, string>} */
const unkept = new Map();

/** @param {string} key */
function kept(key) {
  try {
    return sessionStorage.getItem(key) ?? unkept.get(key) ?? "";
  } catch {
    return unkept.get(key) ?? "";
  }
}

/** @param {string} key @param {string} value */
function keep(key, value) {
  try {
    sessionStorage.setItem(key, value);
  } catch {
    unkept.set(key, value);
  }
}

export class Seen {
  #key;
  #until;

  /** @param {string} room */
  constructor(room) {
    this.#key = `plenum.seen.${room}`;
    this.#until = Number(kept(this.#key)) || 0;
  }

  /** @param {number} at when the server took the message */
  has(at) {
    return at <= this.#until;
  }

  /** @param {number} at */
  advance(at) {
    if (at <= this.#until) return;
    this.#until = at;
    keep(this.#key, String(at));
  }

  /**
   * Begins the id of every message written in this tab: after a reload we may be somebody else to
   * the server, and need not read what we wrote ourselves.
   */
  static get writer() {
    const key = "plenum.writer";
    // Distinct is enough, and works where there is no https.
    if (kept(key) === "") keep(key, Math.random().toString(36).slice(2));
    return kept(key);
  }
}
