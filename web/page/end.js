// What is said when one is out, and the way back where there is one.

import { say } from "../strings.js";
import { make } from "./dom.js";

/** @import {End} from "../plenum/connection.js" */

/**
 * The sentence for a LeaveReason or Reason, and what the button says (null: no way back).
 * @param {End} end
 * @returns {{title: string, again: string|null}}
 */
export function sentenceOf({ reason, message }) {
  const rejoin = say("rejoin");
  switch (reason) {
    case "LEFT_ITSELF":
      return { title: say("endLeft"), again: rejoin };
    case "REMOVED":
      return { title: say("endRemoved"), again: null };
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
    case "TOKEN_INVALID":
    case "TOKEN_KIND":
    case "PARTICIPANT_BANNED":
      return { title: say("endInvalid"), again: null };
    case "UDP_BLOCKED":
      return { title: say("endBlocked", message), again: say("retry") };
    default:
      return { title: say("endFailed"), again: say("retry") };
  }
}

/**
 * @param {HTMLElement} root
 * @param {End} end
 * @param {() => void} again
 */
export function showEnd(root, end, again) {
  const { title, again: label } = sentenceOf(end);
  // What a person wrote stands in the open; what a machine said stands under Details.
  const written = end.reason === "REMOVED" && end.message !== "";
  const detail = written || end.reason === "LEFT_ITSELF" || end.reason === "REPLACED" ? null : `${end.reason}${end.message ? `: ${end.message}` : ""}`;
  const button = label === null ? null : make("button", { type: "button", class: "primary", onclick: again }, label);
  root.replaceChildren(
    make(
      "main",
      { class: "centre" },
      make(
        "div",
        { class: "card end", "data-reason": end.reason },
        make("h1", { role: "alert" }, title),
        written ? make("p", { class: "end-message" }, end.message) : null,
        make("div", { class: "end-buttons" }, button, make("a", { class: "quiet", href: "/" }, say("home"))),
        detail === null ? null : make("details", {}, make("summary", {}, say("details")), make("p", { class: "dim" }, detail)),
      ),
    ),
  );
  button?.focus();
}
