// The settings: devices, language, keys, the chime.

import { say } from "../strings.js";
import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { showKeys } from "./keys.js";
import { Pickers } from "./pickers.js";
import { prefer, preference } from "./preferences.js";

/** @import {Devices} from "./devices.js" */

/**
 * @param {Devices} devices
 */
export function showSettings(devices) {
  const pickers = new Pickers(devices, "settings");
  const language = make(
    "select",
    {
      id: "settings-language",
      onchange: () => {
        prefer("language", /** @type {any} */ (language.value));
        hint.hidden = false;
      },
    },
    make("option", { value: "" }, say("languageOfBrowser")),
    make("option", { value: "en", lang: "en" }, "English"),
    make("option", { value: "zh-CN", lang: "zh-CN" }, "简体中文"),
  );
  language.value = preference("language");
  const hint = make("p", { class: "dim", role: "status", hidden: true }, say("languageLater"));
  openDialog(
    say("settings"),
    [
      pickers.element,
      make("div", { class: "picker" }, make("label", { for: language.id }, say("language")), language),
      hint,
      checkbox("keys", say("useKeys")),
      checkbox("chime", say("useChime")),
      make("button", { type: "button", class: "quiet", onclick: showKeys }, say("keys")),
    ],
    { onclose: () => pickers.close() },
  );
}

/**
 * @param {"keys"|"chime"} key
 * @param {string} label
 */
function checkbox(key, label) {
  const box = make("input", {
    type: "checkbox",
    checked: preference(key) === "on",
    onchange: () => prefer(key, box.checked ? "on" : "off"),
  });
  return make("label", { class: "check" }, box, make("span", {}, label));
}
