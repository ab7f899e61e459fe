// Which tiles are on the page of the stage one looks at. Arithmetic only.
//
// Everybody keeps their place for as long as they are there. Somebody off the page who speaks
// takes the place of who has been silent longest, and no other tile moves.

export class Pager {
  /** Keys in the order they are shown. @type {string[]} */
  order = [];
  page = 0;
  /** When each was heard last. @type {Map<string, number>} */
  #heard = new Map();

  /**
   * Takes in who is there now, in the order of joining: who is new comes last.
   * @param {string[]} keys
   */
  update(keys) {
    const present = new Set(keys);
    const kept = this.order.filter((key) => present.has(key));
    const known = new Set(kept);
    this.order = [...kept, ...keys.filter((key) => !known.has(key))];
    for (const key of [...this.#heard.keys()]) if (!present.has(key)) this.#heard.delete(key);
  }

  /**
   * @param {number} size tiles on a page
   * @returns {number} pages, at least one
   */
  pages(size) {
    return Math.max(1, Math.ceil(this.order.length / Math.max(1, size)));
  }

  /**
   * The tiles of the page, which is a page there is.
   * @param {number} size
   */
  visible(size) {
    this.page = Math.min(Math.max(0, this.page), this.pages(size) - 1);
    return this.order.slice(this.page * size, (this.page + 1) * size);
  }

  /**
   * Somebody spoke.
   * @param {string} key
   * @param {number} now any clock, in milliseconds
   * @param {number} size
   * @returns {boolean} whether tiles moved
   */
  heard(key, now, size) {
    if (!this.order.includes(key)) return false;
    this.#heard.set(key, now);
    const visible = this.visible(size);
    if (visible.includes(key) || visible.length === 0) return false;
    const since = (/** @type {string} */ each) => this.#heard.get(each) ?? -Infinity;
    const silent = visible.reduce((least, each) => (since(each) < since(least) ? each : least));
    const from = this.order.indexOf(key);
    const to = this.order.indexOf(silent);
    this.order[to] = key;
    this.order[from] = silent;
    return true;
  }
}
