// The address that brings others in. Never one's own token: who holds that is oneself.

/** @import {Connection} from "../plenum/connection.js" */

/**
 * Whether a token is an invitation: one that names nobody may be shared (api.md §1).
 * @param {string} token
 */
export function isInvitation(token) {
  try {
    const middle = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(middle), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null && !claims.sub && Boolean(claims.plenum?.room);
  } catch {
    return false;
  }
}

/**
 * @param {string} room
 * @param {string} [token]
 */
function linkOf(room, token) {
  return `${location.origin}/r/${encodeURIComponent(room)}${token ? `#token=${token}` : ""}`;
}

/**
 * @param {{connection: Connection, room: string, token: string|null}} options `token`: our own
 * @returns {Promise<string>}
 */
export async function inviteLink({ connection, room, token }) {
  // Without a token we came by the room's own link, and so will others.
  if (!token) return linkOf(room);
  if (isInvitation(token)) return linkOf(room, token);
  if (connection.permissions?.admin) {
    const issued = await connection.command("IssueToken", { room: `rooms/${room}` }).catch(() => null);
    if (issued?.token) return linkOf(room, issued.token);
  }
  return linkOf(room);
}
