// Waiting for a condition, with a deadline and a sentence that says what did not happen.

/**
 * Asks until the answer is truthy, and gives it.
 * @template T
 * @param {() => T|Promise<T>} ask
 * @param {{within: number, what: string, every?: number, last?: () => unknown}} options
 *   `last` adds what was seen instead to the failure
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(ask, { within, what, every = 50, last }) {
  const end = performance.now() + within;
  for (;;) {
    const answer = await ask();
    if (answer) return /** @type {NonNullable<T>} */ (answer);
    if (performance.now() > end) {
      const seen = last ? `; seen: ${JSON.stringify(await last())}` : "";
      throw new Error(`within ${within} ms: ${what}${seen}`);
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}
