// @ts-check
/** `<lockstep-slider thing="slider1">`: one shared slider. What the handle shows is decided in handle.js, how often it sends in throttle.js. */
import { el, setAttr, setText } from "../dom.js";
import { numberText, t } from "../i18n.js";
import { Handle } from "../handle.js";
import { bar, store, whoDid } from "../page.js";
import { Throttle } from "../throttle.js";

/** The state that follows an acknowledgement is a frame away; after this long it is not coming. */
const STATE_AFTER_ACK_MS = 1_500;
/** Somebody else counts as moving it for this long after their last value. */
const MOVER_SHOWN_MS = 1_500;
const WHEEL_STEPS_MAX = 5;

export class LockstepSlider extends HTMLElement {
  #handle = new Handle();
  #throttle = new Throttle((/** @type {number} */ value) => void this.#send(value), () => store.sliderIntervalMs);
  #stop = () => {};
  #stopRelease = () => {};
  #seen = -1;
  /** @type {any} */ #giveUp = null;
  /** @type {any} */ #mover = null;

  connectedCallback() {
    if (!this.input) this.#build();
    const release = () => this.#hold(false);
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, release, true);
    this.#stopRelease = () => ["pointerup", "pointercancel"].forEach((name) => removeEventListener(name, release, true));
    this.#stop = store.watch(() => this.#look());
  }

  disconnectedCallback() {
    this.#stop();
    this.#stopRelease();
    this.#throttle.cancel();
    clearTimeout(this.#giveUp);
    clearTimeout(this.#mover);
  }

  get thing() {
    return this.getAttribute("thing") ?? "slider1";
  }

  #build() {
    const id = `slider-${this.thing}`;
    this.label = el("label", { for: id, class: "slider-name", text: this.getAttribute("name") ?? this.thing });
    this.output = el("output", { for: id, class: "slider-value" });
    this.note = el("span", { class: "quiet slider-note" });
    this.input = el("input", { id, type: "range", min: 0, max: 100, step: 1, value: 0 });
    this.mark = el("span", { class: "slider-mark", "aria-hidden": "true" });
    this.low = el("span", {});
    this.high = el("span", {});
    this.input.addEventListener("pointerdown", (event) => event.button === 0 && this.#hold(true));
    this.input.addEventListener("input", () => this.#move(Number(/** @type {any} */ (this.input).value)));
    this.input.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.append(
      el("div", { class: "slider-head" }, this.label, this.note, this.output),
      el("div", { class: "slider-track" }, this.input, this.mark),
      el("div", { class: "slider-ends quiet", "aria-hidden": "true" }, this.low, this.high),
    );
  }

  #hold(/** @type {boolean} */ held) {
    if (this.#handle.held === held) return;
    this.#handle.hold(held);
    this.#draw();
  }

  #move(/** @type {number} */ value) {
    this.#handle.move(value);
    if (store.mayCommand) this.#throttle.push(value);
    else this.#handle.giveUp();
    this.#draw();
  }

  #wheel(/** @type {WheelEvent} */ event) {
    const input = this.input;
    if (!input || document.activeElement !== input || event.ctrlKey) return; // a page must scroll past a slider
    event.preventDefault();
    const before = input.value;
    const steps = Math.min(WHEEL_STEPS_MAX, Math.max(1, Math.round(Math.abs(event.deltaY) / 100)));
    if (event.deltaY < 0) input.stepUp(steps);
    else input.stepDown(steps);
    if (input.value !== before) this.#move(Number(input.value));
  }

  async #send(/** @type {number} */ value) {
    this.#handle.sent();
    const seq = await store.send(this.thing, { value });
    if (seq === null) this.#handle.refused();
    else this.#handle.accepted(seq);
    clearTimeout(this.#giveUp);
    if (this.#handle.awaitsState && !this.#throttle.waiting) this.#giveUp = setTimeout(() => this.#forget(), STATE_AFTER_ACK_MS);
    this.#draw();
  }

  #forget() {
    if (this.#handle.awaitsState && !this.#throttle.waiting) this.#handle.giveUp();
    this.#draw();
  }

  #look() {
    const message = store.state(this.thing);
    // An acknowledgement names the last publication of its command, which is the plain leaf after the state.
    const seq = Math.max(message?.seq ?? -1, store.client.value(store.topic(this.thing, "value"))?.seq ?? -1);
    if (message && seq !== this.#seen) {
      this.#seen = seq;
      this.#handle.took(message.payload.value, seq);
      if (!message.replay && message.payload.by !== store.client.hello?.you.by) this.#movedBy(message.payload.by);
    }
    this.#draw();
  }

  #movedBy(/** @type {string} */ by) {
    clearTimeout(this.#mover);
    this.mover = whoDid(by);
    this.#mover = setTimeout(() => {
      this.mover = "";
      this.#draw();
    }, MOVER_SHOWN_MS);
  }

  #draw() {
    const { input, output, note, mark, label, low, high } = this;
    const state = store.state(this.thing)?.payload;
    if (!input || !output || !note || !mark || !label || !low || !high) return;
    const name = this.getAttribute("name") ?? this.thing;
    setText(label, name);
    const shown = this.#handle.shown;
    setAttr(this, "data-pending", this.#handle.pending ? "" : null);
    if (!state || shown === null) {
      setText(output, t("slider.unknown"));
      bar(input, { known: false, field: true });
      return;
    }
    bar(input, { field: true });
    if (!this.#handle.held) {
      setAttr(input, "min", String(state.min));
      setAttr(input, "max", String(state.max));
      setAttr(input, "step", String(state.step));
      setText(low, numberText(state.min));
      setText(high, numberText(state.max));
      if (Number(input.value) !== shown) input.value = String(shown); // never under a hand that holds it
    }
    const unit = this.getAttribute("unit") ?? "";
    const value = `${numberText(shown)}${unit && ` ${unit}`}`;
    setText(output, value);
    setAttr(input, "aria-valuetext", value);
    const share = (/** @type {number} */ v) => `${(100 * (v - state.min)) / (state.max - state.min || 1)}%`;
    this.style.setProperty("--shown", share(shown));
    this.style.setProperty("--hub-n", String(((this.#handle.hub ?? shown) - state.min) / (state.max - state.min || 1)));
    setText(note, this.#handle.pending ? t("slider.pending") : this.mover ? t("slider.moved", { who: this.mover }) : "");
  }
}

customElements.define("lockstep-slider", LockstepSlider);
