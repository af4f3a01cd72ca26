// @ts-check
/** `<lockstep-tomato>`: the fruit that is pressed, with the message and the time in it and the phase's ring round it. Draws what it is shown. */
import { ALARMS, clockText, elapsedShare, isUntimed, remainingMs, waitingMs } from "../countdown.js";
import { el, setAttr, setText, svg } from "../dom.js";
import { t, tMaybe } from "../i18n.js";

const RING_RADIUS = 160;
const RING_LENGTH = 2 * Math.PI * RING_RADIUS;
/** Gradients are found by ids, of which each fruit needs its own: another one's would show another one's phase. */
let fruits = 0;

/** @typedef {import("../countdown.js").Pomodoro} Pomodoro */
/** @typedef {{phase: string, paused: boolean, message: string, time: string, share: number|null, label: string}} Picture */

/** What a press would do, as the hub's table says; only for the words. @param {Pomodoro} state */
function pressWord(state) {
  if (state.phase === "idle") return t("press.start");
  if (state.paused) return t("press.resume");
  if (ALARMS.includes(state.phase)) return t("press.next");
  if (state.phase === "long_break") return t("press.idle");
  return state.press_while_running === "ignore" ? t("press.nothing") : t("press.pause");
}

/** What the fruit shows of a state at a moment, in Unix milliseconds of the hub's clock. @param {Pomodoro} state @param {number} now @returns {Picture} */
export function pictureOf(state, now) {
  // The hub's message, in the page's language where it has one.
  const message = tMaybe(`message.${state.phase}`) ?? state.message;
  const time = clockText(isUntimed(state) ? (waitingMs(state, now) ?? 0) : remainingMs(state, now));
  return { phase: state.phase, paused: state.paused, message, time, share: elapsedShare(state, now), label: `${message} – ${pressWord(state)}` };
}

export class LockstepTomato extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    fruits += 1;
    const [fruit, leaf] = [`fruit-${fruits}`, `leaf-${fruits}`];
    this.message = svg("text", { class: "tomato-message", x: 170, y: 166, "text-anchor": "middle" });
    this.time = el("div", { class: "tomato-time", role: "timer" });
    this.pauseMark = svg("path", { class: "tomato-paused", d: "M161 246v20M179 246v20" });
    this.ring = svg("circle", { class: "ring", cx: 170, cy: 170, r: RING_RADIUS, transform: "rotate(-90 170 170)", "stroke-dasharray": RING_LENGTH });
    const stop = (/** @type {string} */ at, /** @type {string} */ name) => svg("stop", { offset: at, class: name });
    const picture = svg(
      "svg",
      { viewBox: "0 0 340 340", "aria-hidden": "true", focusable: "false" },
      svg(
        "defs",
        {},
        svg("radialGradient", { id: fruit, cx: "36%", cy: "30%", r: "78%" }, stop("0", "fruit-light"), stop("0.5", "fruit-mid"), stop("1", "fruit-dark")),
        svg("linearGradient", { id: leaf, x1: "0", y1: "0", x2: "0.4", y2: "1" }, stop("0", "leaf-light"), stop("1", "leaf-dark")),
      ),
      svg("circle", { class: "ring-track", cx: 170, cy: 170, r: RING_RADIUS }),
      this.ring,
      svg(
        "g",
        { class: "fruit" },
        svg("ellipse", { class: "fruit-shadow", cx: 170, cy: 292, rx: 92, ry: 14 }),
        svg("path", { class: "fruit-body", fill: `url("#${fruit}")`, d: "M170 76C206 52 300 62 307 168c5 82-56 128-137 128S28 250 33 168C40 62 134 52 170 76z" }),
        svg("path", { class: "fruit-shine", d: "M66 142c6-34 28-54 56-56-22 12-36 30-42 56-3 12-16 12-14 0z" }),
        svg("path", { class: "stem", d: "M168 78c-1-16 3-28 14-40" }),
        svg("path", {
          class: "leaf",
          fill: `url("#${leaf}")`,
          d: "M170 84c-16 18-38 26-62 22 12-6 20-13 26-23-15 4-30 1-42-8 22-3 38-6 52-6-6-7-9-15-9-25 14 8 25 15 33 25 9-10 21-18 37-23-2 10-5 17-11 24 16-1 31 2 50 9-14 7-27 8-41 4 5 10 12 17 23 23-23 3-42-4-56-22z",
        }),
      ),
      this.message,
      this.pauseMark,
    );
    this.button = el("button", { type: "button", class: "tomato", onclick: () => this.dispatchEvent(new CustomEvent("press", { bubbles: true })) }, picture);
    this.append(this.button, this.time);
  }

  /** @param {Picture} picture */
  show({ phase, paused, message, time, share, label }) {
    if (!this.button || !this.message || !this.time || !this.ring) return;
    setText(this.message, message);
    // Browsers that measure tell when a state was to be seen first (Element Timing API).
    if (phase !== "unknown") setAttr(this.time, "elementtiming", "first-state");
    setText(this.time, time);
    setAttr(this.button, "aria-label", label);
    setAttr(this, "data-phase", phase);
    setAttr(this, "data-paused", paused ? "" : null);
    setAttr(this, "data-ring", share === null ? "none" : "share");
    setAttr(this.ring, "stroke-dashoffset", (RING_LENGTH * (share ?? 0)).toFixed(1));
  }
}

customElements.define("lockstep-tomato", LockstepTomato);
