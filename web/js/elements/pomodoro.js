// @ts-check
/** `<lockstep-pomodoro thing="pomodoro">`: the tomato with its words, its buttons, and the tab's title. The rules are the hub's. */
import { ALARMS, clockText, isRunning, isUntimed, remainingMs, untilNextSecond, waitingMs } from "../countdown.js";
import { el, icon, setAttr, setText } from "../dom.js";
import { ago, t, timeOfDay } from "../i18n.js";
import { bar, store, whoDid } from "../page.js";
import { tell, tellGone } from "../title.js";
import { LockstepTomato, pictureOf } from "./tomato.js";

/** @typedef {import("../countdown.js").Pomodoro} Pomodoro */

const EXTEND_SECONDS = 300;
/** More dots than this would be a ruler. */
const DOTS_MAX = 12;
/** «2 minutes ago» is refreshed this often where no second ticks. */
const IDLE_REFRESH_MS = 5_000;

export class LockstepPomodoro extends HTMLElement {
  /** @type {any} */ #timer = null;
  #announced = "";
  #stop = () => {};

  connectedCallback() {
    if (!this.tomato) this.#build();
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
    clearTimeout(this.#timer);
    tellGone(this.thing);
  }

  get thing() {
    return this.getAttribute("thing") ?? "pomodoro";
  }

  /** @returns {Pomodoro|null} */
  get state() {
    return store.state(this.thing)?.payload ?? null;
  }

  #build() {
    this.tomato = /** @type {LockstepTomato|null} */ (this.querySelector("lockstep-tomato")) ?? new LockstepTomato(); // the first picture's
    this.tomato.addEventListener("press", () => this.#send("press"));
    this.heading = this.querySelector("h2") ?? el("h2", { class: "visually-hidden", text: t("pomodoro.title") });
    this.badge = el("span", { class: "badge stale-badge", text: t("pomodoro.stale") });
    this.line = el("p", { class: "pomodoro-line" });
    this.dots = el("div", { class: "dots", role: "img" });
    this.did = el("p", { class: "quiet pomodoro-did" });
    this.live = el("p", { class: "visually-hidden", role: "status", "data-announce": "phase" });
    this.start = this.#button("play", t("pomodoro.start"), () => this.#send(this.state?.paused ? "resume" : "start"), "start");
    this.stop = this.#button("pause", t("pomodoro.stop"), () => this.#send("stop"), "stop");
    this.skip = this.#button("skip", t("pomodoro.skip"), () => this.#send("skip"), "skip");
    this.extend = this.#button("plus", t("pomodoro.extend"), () => this.#send({ action: "extend", seconds: EXTEND_SECONDS }), "extend");
    this.extend.setAttribute("aria-label", t("pomodoro.extendLabel"));
    const plus = this.extend.querySelector("svg");
    plus?.remove();
    this.reset = this.#button("reset", t("pomodoro.reset"), () => this.#send("reset"), "reset");
    this.append(
      this.heading,
      this.tomato,
      this.badge,
      this.live,
      el("div", { class: "pomodoro-words" }, this.line, this.dots, this.did, el("lockstep-sound", { thing: this.thing })),
      el("div", { class: "pomodoro-buttons" }, this.start, this.stop, this.skip, this.extend, this.reset),
    );
  }

  /** @param {string} picture @param {string} text @param {() => void} act @param {string} name */
  #button(picture, text, act, name) {
    return el("button", { type: "button", class: "button", "data-command": name, onclick: act }, icon(picture), el("span", { text }));
  }

  #send(/** @type {any} */ command) {
    void store.send(this.thing, command);
  }

  #draw() {
    clearTimeout(this.#timer);
    const state = this.state;
    const own = store.timerName(this.thing);
    if (this.heading) {
      setText(this.heading, own ?? t("pomodoro.title"));
      this.heading.classList.toggle("visually-hidden", own === null);
    }
    if (!this.tomato || !this.line || !this.did || !this.live || !this.start || !this.dots) return;
    if (!state) {
      this.tomato.show({ phase: "unknown", paused: false, message: "…", time: "--:--", share: null, label: t("pomodoro.unknown") });
      setText(this.line, t("pomodoro.unknown"));
      tellGone(this.thing);
      return;
    }
    const now = store.now();
    const left = remainingMs(state, now);
    const picture = pictureOf(state, now);
    const { message, time } = picture;
    setAttr(this, "data-phase", state.phase);
    setAttr(this, "data-paused", state.paused ? "" : null);
    this.tomato.show(picture);
    setText(this.line, this.#lineText(state, now));
    setText(this.did, this.#didText(state, now));
    this.#drawDots(state);
    this.#drawButtons(state);
    this.#announce(state, message);
    tell(this.thing, { state, message, time });
    const next = isRunning(state) ? untilNextSecond(left) : ALARMS.includes(state.phase) || isUntimed(state) ? 1_000 : IDLE_REFRESH_MS;
    this.#timer = setTimeout(() => this.#draw(), next);
  }

  /** @param {Pomodoro} state @param {number} now */
  #lineText(state, now) {
    if (state.paused) return `${t("pomodoro.paused")} · ${t("pomodoro.left", { time: clockText(remainingMs(state, now)) })}`;
    if (isRunning(state)) return t("pomodoro.endsAt", { time: timeOfDay(/** @type {number} */ (state.ends_at) - store.client.clock.offsetMs) });
    const since = clockText(waitingMs(state, now) ?? 0);
    if (ALARMS.includes(state.phase)) return t("pomodoro.waiting", { time: since });
    if (isUntimed(state)) return t("pomodoro.sinceStart", { time: since });
    return t("pomodoro.nextWork", { time: clockText(state.work_duration * 1000) });
  }

  /** @param {Pomodoro} state @param {number} now */
  #didText(state, now) {
    if (!state.sent_at || state.rev < 1) return "";
    const when = ago(Math.max(0, now - state.sent_at));
    const who = state.by === store.client.hello?.you.by && store.name ? t("who.you") : whoDid(state.by);
    if (!who) return ALARMS.includes(state.phase) ? t("did.hub", { when }) : "";
    return t(state.paused ? "did.paused" : isRunning(state) ? "did.started" : "did.changed", { who, when });
  }

  /** @param {Pomodoro} state */
  #drawDots(state) {
    const dots = /** @type {HTMLElement} */ (this.dots);
    const of = state.number_cycles + 1;
    const over = state.phase === "long_break";
    const done = over ? of : state.cycle + (state.phase === "break_alarm" ? 1 : 0);
    const current = ["work"].includes(state.phase) || state.phase === "idle" ? state.cycle : -1;
    setAttr(dots, "aria-label", over ? t("pomodoro.roundDone", { of }) : t("pomodoro.round", { n: Math.min(of, Math.max(1, current >= 0 ? current + 1 : done)), of }));
    dots.hidden = of > DOTS_MAX;
    if (dots.hidden) return;
    while (dots.childElementCount > of) dots.lastElementChild?.remove();
    while (dots.childElementCount < of) dots.append(el("i", { class: "dot" }));
    [...dots.children].forEach((dot, i) => setAttr(dot, "data-dot", i < done ? "done" : i === current && state.phase === "work" ? "now" : "to-do"));
  }

  /** Buttons that would be refused are quiet, not dead: focus stays, and the hub says why. @param {Pomodoro} state */
  #drawButtons(state) {
    if (this.tomato?.button) bar(this.tomato.button);
    const running = isRunning(state);
    const stoppable = running;
    const dim = (/** @type {HTMLElement|undefined} */ button, /** @type {boolean} */ off) => {
      button?.classList.toggle("dim", off);
      if (button) bar(button);
    };
    const label = this.start?.querySelector("span");
    if (label) setText(label, t(state.paused ? "pomodoro.resume" : "pomodoro.start"));
    dim(this.start, running);
    dim(this.stop, !stoppable);
    dim(this.skip, state.phase === "idle");
    dim(this.extend, !(running || state.paused));
    dim(this.reset, state.phase === "idle" && state.cycle === 0);
    this.start?.classList.toggle("primary", !running);
    this.stop?.classList.toggle("primary", stoppable);
  }

  /** Phases are spoken, seconds are not. @param {Pomodoro} state @param {string} message */
  #announce(state, message) {
    const said = state.paused ? `${message}, ${t("pomodoro.paused")}` : message;
    if (this.#announced && said !== this.#announced && this.live) setText(this.live, said);
    this.#announced = said;
  }
}

customElements.define("lockstep-pomodoro", LockstepPomodoro);
