// A look into a room without going in: who is there, whether it is locked.

import { Refused } from "./requests.js";
import { Socket } from "./socket.js";

/** @import {Lobby} from "./messages.js" */

/**
 * Asks who is in a room. The socket closes afterwards.
 * @param {{url: string, room: string, token?: string|null}} options `url` as for Connection
 * @returns {Promise<Lobby>} rejects with a Refused: `ROOM_NOT_FOUND`, `TOKEN_EXPIRED`, …, or
 *   `CONNECTION_LOST` where the server cannot be reached
 */
export function look({ url, room, token }) {
  return new Promise((resolve, reject) => {
    const socket = new Socket(url);
    socket.on("open", () => socket.send({ type: "look", room, ...(token ? { token } : {}) }));
    socket.on("message", (message) => {
      if (message.type !== "lobby" && message.type !== "error") return;
      socket.close();
      const any = /** @type {any} */ (message);
      if (message.type === "lobby") resolve({ room: any.room, participants: any.participants, count: any.count });
      else reject(new Refused(any));
    });
    socket.on("lost", ({ code, reason }) => {
      reject(new Refused({ reason: code >= 4_000 && reason ? reason : "CONNECTION_LOST", message: "" }));
    });
  });
}
