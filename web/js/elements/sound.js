// @ts-check
/** `<lockstep-sound thing="pomodoro">`: mutes the alarm for this browser, and says when the browser lets no alarm sound yet. */
import { alarm, watchAttention } from "../attention.js";
import { ALARMS, isRunning } from "../countdown.js";
import { el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { store } from "../page.js";

export class LockstepSound extends HTMLElement {
  #stop = () => {};

  connectedCallback() {
    if (!this.mute) {
      this.mute = el("button", { type: "button", class: "icon-button mute", onclick: () => alarm.choose({ on: !alarm.on }) });
      this.hint = el("p", { class: "sound-hint", hidden: true }, icon("bell"), el("span", { text: t("sound.hint") }));
      this.append(this.mute, this.hint);
    }
    const stops = [store.watch(() => this.#draw()), watchAttention(() => this.#draw())];
    this.#stop = () => stops.forEach((stop) => stop());
    this.#draw();
  }

  disconnectedCallback() {
    this.#stop();
  }

  #draw() {
    const { mute, hint } = this;
    const state = store.state(this.getAttribute("thing") ?? "")?.payload;
    if (!mute || !hint) return;
    hint.hidden = !(state && alarm.blocked && (ALARMS.includes(state.phase) || isRunning(state)));
    const picture = alarm.on ? "bell" : "mute";
    if (mute.dataset.icon === picture) return;
    mute.dataset.icon = picture;
    mute.setAttribute("aria-label", t(alarm.on ? "sound.mute" : "sound.unmute"));
    mute.title = mute.getAttribute("aria-label") ?? "";
    mute.replaceChildren(icon(picture));
  }
}

customElements.define("lockstep-sound", LockstepSound);
