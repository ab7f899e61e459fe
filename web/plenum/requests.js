// Messages that are answered by `reply {id}`: each is a promise. They outlive a socket: what was
// not answered when it died is sent again after a resume, since the server keeps what it answered
// and tells it again first.

/** Unanswered at the same time; a further one is refused. */
const REQUESTS_MAX = 256;

/**
 * Why a request was refused; the same reasons on every door.
 * @typedef {{reason: string, message: string, field?: string}} Refusal
 */

/** A refused request, as an Error: `reason`, `message`, `field`. */
export class Refused extends Error {
  /** @param {Refusal} refusal */
  constructor({ reason, message, field }) {
    super(message);
    this.name = "Refused";
    /** A Reason of docs/errors.md, or `CONNECTION_LOST`: nobody knows whether it was done. */
    this.reason = reason;
    /** The field at fault, where there is one. */
    this.field = field;
  }
}

export class Requests {
  #last = 0;
  /** @type {Map<string, {message: object, resolve: (body: any) => void, reject: (error: Refused) => void}>} */
  #open = new Map();

  /**
   * Sends a message with an id of its own and waits for its reply.
   * @param {{[field: string]: any}} message
   * @param {(message: object) => boolean} send
   * @returns {Promise<any>}
   */
  ask(message, send) {
    if (this.#open.size >= REQUESTS_MAX) {
      return Promise.reject(new Refused({ reason: "LIMIT_EXCEEDED", message: `${REQUESTS_MAX} requests wait already` }));
    }
    this.#last += 1;
    const id = String(this.#last);
    return new Promise((resolve, reject) => {
      const full = { ...message, id };
      this.#open.set(id, { message: full, resolve, reject });
      send(full);
    });
  }

  /** @param {{id: string, body?: any, error?: Refusal}} reply */
  take({ id, body, error }) {
    const request = this.#open.get(id);
    if (!request) return;
    this.#open.delete(id);
    if (error) request.reject(new Refused(error));
    else request.resolve(body ?? {});
  }

  /**
   * Sends again what nobody answered.
   * @param {(message: object) => boolean} send
   */
  repeat(send) {
    for (const { message } of this.#open.values()) send(message);
  }

  /** Nobody will answer. @param {Refusal} refusal */
  fail(refusal) {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of open) reject(new Refused(refusal));
  }
}
