// Tokens for tests, by the gRPC door: of an admin, of somebody, an invitation.

import { call, stringOf } from "./grpc.js";

/** @import {Message} from "./grpc.js" */

/** Permissions: the four sources as packed varints, subscribe, send_data, admin. */
const ADMIN = { 1: "\u0001\u0002\u0003\u0004", 2: 1, 3: 1, 5: 1 };

/**
 * @param {string} room
 * @param {{participant?: string, name?: string, admin?: boolean, seconds?: number, permissions?: Message}} [options]
 * @returns {Promise<string>}
 */
export async function token(room, { participant = "", name = "", admin = false, seconds, permissions = admin ? ADMIN : undefined } = {}) {
  const answer = await call("TokenService/IssueToken", {
    1: `rooms/${room}`,
    ...(participant ? { 2: participant } : {}),
    ...(name ? { 3: name } : {}),
    ...(permissions ? { 7: permissions } : {}),
    ...(seconds ? { 8: { 1: seconds } } : {}),
  });
  const issued = stringOf(answer, 1);
  if (!issued) throw new Error("no token was issued");
  return issued;
}
