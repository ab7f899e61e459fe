// Raised hands: the attribute `hand` holds since when, for everybody to see.

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Participant} from "../plenum/roster.js" */

export const HAND = "hand";

/**
 * Since when somebody's hand is up; empty where it is not.
 * @param {Participant|null|undefined} participant
 * @returns {string}
 */
export function handOf(participant) {
  return participant?.attributes[HAND] ?? "";
}

export class Hand {
  /** Called where a hand went up or down, with the ids of those whose went up just now; our own
   * is among them.
   * @type {(raised: string[]) => void} */
  onchange = () => {};
  #connection;
  /** @type {Map<string, string>} */
  #up = new Map();
  #off;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    this.#off = connection.on("roster", () => this.#look());
    this.#look();
  }

  /** Whether our own hand is up. */
  get isUp() {
    return handOf(this.#connection.roster.own) !== "";
  }

  /** Raises our hand or takes it down. */
  async toggle() {
    const hand = this.isUp ? null : new Date().toISOString();
    await this.#connection.update({ attributes: { [HAND]: hand } });
  }

  #look() {
    const { roster } = this.#connection;
    /** @type {Map<string, string>} */
    const up = new Map();
    for (const each of [...roster.participants.values(), ...(roster.own ? [roster.own] : [])]) {
      const since = handOf(each);
      if (since !== "") up.set(each.participant, since);
    }
    const raised = [...up].filter(([id, since]) => this.#up.get(id) !== since).map(([id]) => id);
    const isSame = raised.length === 0 && up.size === this.#up.size;
    this.#up = up;
    if (!isSame) this.onchange(raised);
  }

  /** Looks no more. */
  close() {
    this.#off();
  }
}
