// @ts-check
/** `<lockstep-setup thing="pomodoro">`: the Pomodoro's settings. What is edited, changed meanwhile or wrong is decided in draft.js. */
import { confirmDialog } from "../confirm.js";
import { isRunning } from "../countdown.js";
import { el, icon, setAttr, setText } from "../dom.js";
import { Draft, FIELDS, fieldText } from "../draft.js";
import { t } from "../i18n.js";
import { bar, store } from "../page.js";

/** @typedef {import("../draft.js").Field} Field */

const SAVED_SHOWN_MS = 4_000;

export class LockstepSetup extends HTMLElement {
  #draft = new Draft();
  /** @type {Map<string, {row: HTMLElement, input: HTMLInputElement, note: HTMLElement, chips: HTMLButtonElement[]}>} */ #rows = new Map();
  #stop = () => {};
  #seen = -1;
  #saved = false;

  connectedCallback() {
    if (!this.form) this.#build();
    this.#stop = store.watch(() => this.#look());
  }

  disconnectedCallback() {
    this.#stop();
  }

  get thing() {
    return this.getAttribute("thing") ?? "pomodoro";
  }

  #build() {
    this.warning = el("p", { class: "setup-warning", hidden: true }, icon("warn"), el("span", { text: t("setup.warn") }));
    this.outcome = el("p", { class: "quiet setup-outcome", role: "status" });
    this.discard = el("button", { type: "button", class: "button", text: t("setup.discard"), onclick: () => this.#discardAll() });
    this.save = el("button", { type: "submit", class: "button primary", text: t("setup.save") });
    this.form = el(
      "form",
      { class: "setup-form", novalidate: true, autocomplete: "off", onsubmit: (/** @type {Event} */ event) => this.#submit(event) },
      ...FIELDS.map((field) => this.#row(field)),
      this.warning,
      el("div", { class: "setup-actions" }, this.outcome, this.discard, this.save),
    );
    const answers = /** @type {[string, string][]} */ ([["configure", t("setup.confirm.later")], ["setup", t("setup.confirm.save")]]);
    this.dialog = confirmDialog({ id: `setup-${this.thing}-confirm`, title: t("setup.confirm.title"), text: t("setup.confirm.text"), answers }, (answer) => void this.#send(answer));
    this.heading = el("h2", { text: t("setup.title") });
    this.append(this.heading, this.form, this.dialog);
  }

  #row(/** @type {Field} */ field) {
    const id = `setup-${this.thing}-${field.id}`;
    const key = /** @type {any} */ (`setup.${field.id}`);
    const label = el("label", { for: id, text: t(key) });
    const note = el("p", { class: "setup-note", id: `${id}-note`, hidden: true });
    if (field.unit === "switch" || field.unit === "choice") {
      const input = el("input", { id, type: "checkbox", role: "switch", class: "switch", onchange: () => this.#edit(field.id, this.#switchText(field, input.checked)) });
      const row = el("div", { class: "setup-row setup-row-switch" }, label, input, note);
      this.#rows.set(field.id, { row, input, note, chips: [] });
      return row;
    }
    const input = el("input", { id, type: "text", inputmode: field.unit === "count" ? "numeric" : "text", class: "setup-input", maxlength: 9, "aria-describedby": `${id}-note`, oninput: () => this.#edit(field.id, input.value) });
    const chips = field.choices.map((value) => {
      const text = fieldText(field, value);
      const shown = value === 0 ? t("setup.untimed") : text;
      return el("button", { type: "button", class: "chip", "data-value": text, text: shown, onclick: () => this.#edit(field.id, text) });
    });
    const unit = el("span", { class: "quiet setup-unit", text: field.unit === "minutes" ? t("setup.minutes") : "" });
    const row = el(
      "div",
      { class: "setup-row" },
      label,
      el("div", { class: "setup-field" }, input, unit),
      el("div", { class: "chips", role: "group", "aria-label": t("setup.choices", { field: t(key) }) }, ...chips),
      note,
    );
    this.#rows.set(field.id, { row, input, note, chips });
    return row;
  }

  #switchText(/** @type {Field} */ field, /** @type {boolean} */ on) {
    if (field.unit === "choice") return on ? "pause" : "ignore";
    return on ? "on" : "off";
  }

  #edit(/** @type {string} */ id, /** @type {string} */ text) {
    this.#saved = false;
    this.#draft.edit(id, text);
    this.#draw(id);
  }

  #discardAll() {
    this.#draft.discard();
    this.#draw();
    this.save?.focus();
  }

  #look() {
    const message = store.state(this.thing);
    if (message && message.seq !== this.#seen) {
      this.#seen = message.seq;
      this.#draft.take(message.payload);
    }
    this.#draw();
  }

  get #running() {
    const state = store.state(this.thing)?.payload;
    return Boolean(state) && (isRunning(state) || state.paused);
  }

  #submit(/** @type {Event} */ event) {
    event.preventDefault();
    const wrong = this.#draft.wrong[0];
    if (wrong) {
      this.#rows.get(wrong)?.input.focus();
      return this.#draw();
    }
    if (this.#running) this.dialog?.showModal();
    else void this.#send("setup");
  }

  async #send(/** @type {string} */ action) {
    const values = action === "setup" ? this.#draft.values : this.#draft.changes;
    const edits = this.#draft.send();
    const seq = await store.send(this.thing, { action, ...values });
    this.#draft.sent(edits, seq !== null);
    if (seq === null) return this.#draw(); // the alert says why; what was typed stays to be mended
    this.#saved = true;
    setTimeout(() => {
      this.#saved = false;
      this.#draw();
    }, SAVED_SHOWN_MS);
    this.#draw();
  }

  /** @param {string} [typing] the field that a person types in: its text is theirs */
  #draw(typing) {
    const known = store.state(this.thing) !== null;
    const own = store.timerName(this.thing);
    if (this.heading) setText(this.heading, own === null ? t("setup.title") : `${t("setup.title")} · ${own}`);
    const wrong = this.#draft.wrong;
    for (const field of FIELDS) {
      const row = this.#rows.get(field.id);
      if (!row) continue;
      const text = this.#draft.text(field.id);
      bar(row.input, { known, field: true, describedBy: row.note.id });
      if (row.input.type === "checkbox") row.input.checked = text === "on" || text === "pause";
      else if (typing !== field.id || document.activeElement !== row.input) {
        if (row.input.value !== text && !(document.activeElement === row.input && this.#draft.isDirty(field.id))) row.input.value = text;
      }
      for (const chip of row.chips) {
        setAttr(chip, "aria-pressed", String(chip.dataset.value === text));
        bar(chip, { known, field: true });
      }
      const meanwhile = this.#draft.changedMeanwhile(field.id);
      const bad = wrong.includes(field.id);
      const note = bad ? t(field.unit === "count" ? "setup.wrong.count" : "setup.wrong.minutes") : meanwhile === null ? "" : t("setup.meanwhile", { value: meanwhile });
      setText(row.note, note);
      row.note.hidden = !note;
      setAttr(row.input, "aria-invalid", bad ? "true" : null);
      setAttr(row.row, "data-dirty", this.#draft.isDirty(field.id) ? "" : null);
    }
    if (!this.warning || !this.outcome || !this.discard || !this.save) return;
    this.warning.hidden = !this.#running;
    this.discard.hidden = !this.#draft.dirty;
    bar(this.save);
    setText(this.outcome, this.#saved ? t("setup.saved") : this.#draft.dirty ? t("setup.unsaved") : "");
  }
}

customElements.define("lockstep-setup", LockstepSetup);
