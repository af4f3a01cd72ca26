// @ts-check
/** A question before something is done that cannot be taken back. */
import { el } from "./dom.js";
import { t } from "./i18n.js";

/**
 * A closed dialog with the answers as buttons, the last of them the main one, and a way out before them. `answered` hears the value of
 * the button that was pressed; by the submission and not by the dialog's `close`, which comes late and may find another value.
 * @param {{id: string, title: string, text: string, answers: [value: string, text: string][]}} question @param {(value: string) => void} answered
 */
export function confirmDialog({ id, title, text, answers }, answered) {
  const button = (/** @type {string} */ value, /** @type {string} */ words, name = "button") => el("button", { class: name, value, text: words });
  const buttons = answers.map(([value, words], i) => button(value, words, i === answers.length - 1 ? "button primary" : "button"));
  const submit = (/** @type {SubmitEvent} */ event) => {
    const value = /** @type {HTMLButtonElement|null} */ (event.submitter)?.value ?? "";
    if (value) answered(value);
  };
  return el(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    el("h2", { id, text: title }),
    el("p", { text }),
    el("form", { method: "dialog", class: "dialog-actions", onsubmit: submit }, button("", t("setup.confirm.cancel")), ...buttons),
  );
}
