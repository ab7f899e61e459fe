// One WebSocket to the server, which knows when it is dead: a browser shows a page neither the
// server's pings nor a network that swallows everything, so silence is broken by a `ping` of our
// own and ends the socket when nothing answers.

import { Emitter } from "./emitter.js";

/** The subprotocol, which is the version of the messages. */
const SUBPROTOCOL = "plenum.v1.json";
/** A socket that is not open by then is given up: the first try may have met a dead network. */
const OPEN_MS_MAX = 5_000;
/** Nothing was heard for so long: ask. */
const SILENCE_MS_MAX = 10_000;
/** No answer by then: the socket is dead. */
const ANSWER_MS_MAX = 8_000;
/** The same where there is reason to think so, such as media that stopped. */
const SUSPECT_MS_MAX = 2_500;

/** @typedef {{[field: string]: any, type?: string, sequence: number}} ServerMessage */
/** @typedef {{code: number, reason: string, opened: boolean}} Lost */

/** @extends {Emitter<{open: void, message: ServerMessage, lost: Lost}>} */
export class Socket extends Emitter {
  #socket;
  #opened = false;
  #over = false;
  #heardAt = performance.now();
  /** When an answer is due; none is awaited: 0. */
  #dueAt = 0;
  #timer = 0;

  /** @param {string} url */
  constructor(url) {
    super();
    this.#socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket.addEventListener("open", () => {
      if (this.#over) return;
      this.#opened = true;
      this.#heardAt = performance.now();
      this.#dueAt = 0;
      this.#watch();
      this.emit("open", undefined);
    });
    this.#socket.addEventListener("message", ({ data }) => this.#take(data));
    this.#socket.addEventListener("close", ({ code, reason }) => this.#lose(code, reason));
    this.#dueAt = performance.now() + OPEN_MS_MAX;
    this.#watch();
  }

  /** @param {unknown} text */
  #take(text) {
    if (this.#over || typeof text !== "string") return;
    this.#heardAt = performance.now();
    this.#dueAt = 0;
    this.#watch();
    this.emit("message", JSON.parse(text));
  }

  /**
   * Sends, or says that it cannot.
   * @param {object} message
   */
  send(message) {
    if (this.#over || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Something else suggests that the network is gone: ask now, and wait less long. */
  suspect() {
    if (this.#over || !this.#opened) return;
    this.#ask(SUSPECT_MS_MAX);
    this.#watch();
  }

  /** @param {number} within */
  #ask(within) {
    const due = performance.now() + within;
    this.#dueAt = this.#dueAt === 0 ? due : Math.min(this.#dueAt, due);
    this.send({ type: "ping" });
  }

  /** Wakes up when there is something to ask or to give up. */
  #watch() {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const now = performance.now();
    const at = this.#dueAt === 0 ? this.#heardAt + SILENCE_MS_MAX : this.#dueAt;
    this.#timer = setTimeout(() => {
      if (this.#dueAt === 0) this.#ask(ANSWER_MS_MAX);
      else if (performance.now() >= this.#dueAt) this.#lose(1_006, "");
      this.#watch();
    }, Math.max(10, at - now));
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #lose(code, reason) {
    if (this.#over) return;
    this.close();
    this.emit("lost", { code, reason, opened: this.#opened });
  }

  /** Ends it. Nothing is reported after this. */
  close() {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.close(1_000);
  }
}
