// @ts-check
/** `<lockstep-thing thing="lamp">`: any kind, drawn from the controls that the hub describes; a new kind needs no new code here. */
import { el, setAttr, setText } from "../dom.js";
import { bar, store } from "../page.js";

/** @typedef {import("../store.js").Control} Control */

export class LockstepThing extends HTMLElement {
  #stop = () => {};
  #built = "";
  /** @type {{control: Control, show: (value: any) => void}[]} */ #parts = [];

  connectedCallback() {
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
  }

  get thing() {
    return this.getAttribute("thing") ?? "";
  }

  #draw() {
    const described = store.things.find((thing) => thing.id === this.thing);
    const controls = described?.controls ?? [];
    const wanted = JSON.stringify([described?.name, controls]);
    if (described && wanted !== this.#built) {
      this.#built = wanted;
      const rows = controls.map((control) => this.#part(control));
      this.replaceChildren(el("h2", { text: described.name }), ...rows);
    }
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("input, select, button"))) bar(part, { field: part.localName !== "button" });
    const state = store.state(this.thing)?.payload;
    if (!state) return;
    for (const { control, show } of this.#parts) if (control.field) show(state[control.field]);
  }

  #part(/** @type {Control} */ control) {
    const id = `${this.thing}-${control.id}`;
    const part = this.#widget(control, id);
    this.#parts = [...this.#parts.filter((p) => p.control.id !== control.id), { control, show: part.show }];
    if (control.type === "press") return part.element;
    return el("div", { class: "set-row" }, el("label", { for: id, text: control.name }), part.element);
  }

  /** @param {Control} control @param {string} id @returns {{element: HTMLElement, show: (value: any) => void}} */
  #widget(control, id) {
    if (control.type === "press") {
      return { element: el("button", { type: "button", class: "button", text: control.name, onclick: () => void store.send(this.thing, control.command) }), show: () => {} };
    }
    if (control.type === "switch") {
      const input = el("input", { id, type: "checkbox", role: "switch", class: "switch", onchange: () => void this.#set(control, input.checked) });
      return { element: input, show: (value) => (input.checked = Boolean(value)) };
    }
    if (control.type === "select") {
      const options = (control.options ?? []).map((option) => el("option", { value: String(option), text: String(option) }));
      const select = el("select", { id, class: "text-input", onchange: () => void this.#set(control, select.value) }, ...options);
      return { element: select, show: (value) => document.activeElement !== select && (select.value = String(value)) };
    }
    if (control.type === "number") {
      const input = el("input", { id, type: "number", class: "setup-input", min: control.min, max: control.max, step: control.step, onchange: () => void this.#set(control, Number(input.value)) });
      const show = (/** @type {any} */ value) => document.activeElement !== input && (input.value = String(value ?? ""));
      return { element: el("span", { class: "setup-field" }, input, el("span", { class: "quiet", text: control.unit ?? "" })), show };
    }
    const output = el("output", { id });
    return { element: output, show: (value) => (setText(output, value === null || value === undefined ? "–" : String(value)), setAttr(output, "data-value", String(value))) };
  }

  /** A control's command says where its value goes. @param {Control} control @param {any} value */
  async #set(control, value) {
    const { action, field } = control.command ?? {};
    const command = action ? { action, [field ?? "value"]: value } : { value };
    if ((await store.send(this.thing, command)) === null) this.#draw();
  }
}

customElements.define("lockstep-thing", LockstepThing);
