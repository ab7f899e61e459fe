// What is said when one is out, and the way back where there is one.

import { say } from "../strings.js";
import { copyText, make } from "./dom.js";

/** @import {End} from "../plenum/connection.js" */

/**
 * The sentence for a LeaveReason or Reason, and what the button says (null: no way back).
 * @param {End} end
 * @returns {{title: string, again: string|null}}
 */
export function sentenceOf({ reason, message, port }) {
  const rejoin = say("rejoin");
  switch (reason) {
    case "LEFT_ITSELF":
      return { title: say("endLeft"), again: rejoin };
    case "REMOVED":
      return { title: say("endRemoved"), again: null };
    case "DENIED":
      return { title: say("endDenied"), again: say("retry") };
    case "REPLACED":
      return { title: say("endReplaced"), again: say("useHere") };
    case "ROOM_DELETED":
    case "ROOM_EXPIRED":
    case "ROOM_CLOSED":
      return { title: say("endClosed"), again: null };
    case "ROOM_FULL": {
      const limit = /\d+/.exec(message)?.[0];
      return { title: limit ? say("endFullOf", limit) : say("endFull"), again: say("retry") };
    }
    case "ROOM_LOCKED":
      return { title: say("endLocked"), again: say("retry") };
    case "ROOM_NOT_FOUND":
      return { title: say("endNotFound"), again: null };
    case "TOKEN_EXPIRED":
    case "TOKEN_REVOKED":
      return { title: say("endExpired"), again: null };
    case "TOKEN_MISSING":
    case "TOKEN_INVALID":
    case "TOKEN_KIND":
      return { title: say("endInvalid"), again: null };
    case "PARTICIPANT_BANNED":
      return { title: say("endRemoved"), again: null };
    case "UDP_BLOCKED":
      return { title: say("endBlocked", port ?? message), again: say("retry") };
    default:
      return { title: say("endFailed"), again: say("retry") };
  }
}

/** Ends that no machine need explain. */
const PLAIN = new Set(["LEFT_ITSELF", "REPLACED", "REMOVED", "ROOM_DELETED"]);

/**
 * @param {HTMLElement} root
 * @param {End} end
 * @param {() => void} again
 */
export function showEnd(root, end, again) {
  const { title, again: label } = sentenceOf(end);
  // What a person wrote stands in the open; what a machine said stands under Details.
  const isWritten = (end.reason === "REMOVED" || end.reason === "ROOM_DELETED") && end.message !== "";
  const button = label === null ? null : make("button", { type: "button", class: "primary", onclick: again }, label);
  const home = make("a", { class: "quiet", href: "/" }, say("home"));
  root.replaceChildren(
    make(
      "main",
      { class: "centre" },
      make(
        "div",
        { class: "card end", "data-reason": end.reason },
        make("div", { role: "alert" }, make("h1", {}, title)),
        isWritten ? make("p", { class: "end-message" }, end.message) : null,
        make("div", { class: "end-buttons" }, button, home),
        PLAIN.has(end.reason) ? null : details(end),
      ),
    ),
  );
  (button ?? home).focus();
}

/** @param {End} end */
function details({ reason, message, port }) {
  const label = make("span", {}, say("copyReport"));
  const report = () => JSON.stringify(
    { reason, message, ...(port ? { port } : {}), time: new Date().toISOString(), page: location.origin + location.pathname, browser: navigator.userAgent },
    null,
    2,
  );
  const words = { copy: say("copyReport"), copied: say("copied") };
  return make(
    "details",
    {},
    make("summary", {}, say("details")),
    make("p", { class: "dim" }, message && message !== String(port ?? "") ? `${reason}: ${message}` : reason),
    make("button", { type: "button", class: "quiet", onclick: () => void copyText(label, report(), words) }, label),
  );
}
