// The page at `/`: a meeting's name and one button.

import { say } from "../strings.js";
import { make } from "./dom.js";

const FIRST = ["amber", "brave", "calm", "clear", "coral", "early", "fair", "gentle", "golden", "green", "happy", "kind", "light", "lively", "lucky", "merry", "misty", "noble", "quiet", "rapid", "silver", "sunny", "swift", "warm"];
const SECOND = ["autumn", "cedar", "cloud", "cobalt", "desert", "forest", "garden", "harbor", "island", "lake", "maple", "meadow", "moon", "morning", "mountain", "ocean", "pepper", "river", "saffron", "spring", "summer", "valley", "violet", "winter"];
const THIRD = ["badger", "beaver", "crane", "dolphin", "eagle", "falcon", "finch", "fox", "gecko", "hare", "heron", "jaguar", "koala", "lark", "lynx", "marten", "otter", "owl", "panda", "puffin", "raven", "robin", "seal", "swan"];

/** What a room may be called (api.md §1). */
const NAME = /^(?!-$)[A-Za-z0-9._~@:+=-]{1,128}$/;

/**
 * @param {HTMLElement} root
 */
export function showHome(root) {
  const field = make("input", { id: "meeting", name: "meeting", value: threeWords(), maxLength: 128, autocomplete: "off", spellcheck: false });
  const error = make("p", { class: "problem", role: "alert" });
  const form = make(
    "form",
    {
      class: "card home",
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        const name = field.value.trim().replace(/\s+/g, "-");
        if (NAME.test(name)) location.assign(`/r/${encodeURIComponent(name)}`);
        else error.textContent = say("nameInvalid");
      },
    },
    make("h1", {}, say("homeTitle")),
    make("p", { class: "dim" }, say("homeLead")),
    make("label", { for: "meeting" }, say("meetingName")),
    field,
    error,
    make("button", { class: "primary", type: "submit" }, say("startOrJoin")),
  );
  root.replaceChildren(make("main", { class: "centre" }, make("div", { class: "brand" }, say("product")), form));
  field.focus();
  field.select();
}

function threeWords() {
  const draw = crypto.getRandomValues(new Uint8Array(3));
  return [FIRST, SECOND, THIRD].map((words, index) => words[(draw[index] ?? 0) % words.length]).join("-");
}
