// Modal dialogs. The browser's own `dialog` keeps the focus inside, closes by Esc and makes the
// rest of the page inert; who opened it gets the focus back.

import { say } from "../strings.js";
import { icon, make } from "./dom.js";

/** Numbers the titles that name their dialogs. */
let count = 0;

/**
 * Shows a dialog over everything else.
 * @param {string} title
 * @param {(Node|null)[]} content
 * @param {{onclose?: () => void, look?: string}} [options]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, { onclose, look = "" } = {}) {
  const opener = /** @type {HTMLElement|null} */ (document.activeElement);
  const id = `dialog-${(count += 1)}`;
  const close = make(
    "button",
    { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: () => dialog.close() },
    icon("close"),
  );
  const dialog = make(
    "dialog",
    { class: `dialog ${look}`, "aria-labelledby": id },
    make("header", {}, make("h2", { id }, title), close),
    make("div", { class: "dialog-body" }, ...content),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose?.();
    if (opener?.isConnected) opener.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  // Keys of the meeting are not for who is in a dialog.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before something that cannot be taken back.
 * @param {string} question
 * @param {string} detail
 * @param {string} action what the button that does it says
 * @returns {Promise<boolean>}
 */
export function confirmed(question, detail, action) {
  return new Promise((resolve) => {
    let isAgreed = false;
    const agree = () => {
      isAgreed = true;
      dialog.close();
    };
    const cancel = make("button", { type: "button", onclick: () => dialog.close() }, say("cancel"));
    const dialog = openDialog(
      question,
      [
        detail === "" ? null : make("p", { class: "dim" }, detail),
        make("div", { class: "dialog-buttons" }, cancel, make("button", { type: "button", class: "danger", onclick: agree }, action)),
      ],
      { onclose: () => resolve(isAgreed) },
    );
    cancel.focus();
  });
}
