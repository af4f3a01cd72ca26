// @ts-check
/** `<lockstep-alerts>`: why a command of one's own did nothing, in plain words, until it is dismissed or the thing accepts something. */
import { el, icon, setText } from "../dom.js";
import { t, tMaybe } from "../i18n.js";
import { store } from "../page.js";

const ALERTS_MAX = 4;

export class LockstepAlerts extends HTMLElement {
  #stop = () => {};

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", t("alerts.label"));
    if (!this.list) {
      this.list = el("div", { class: "alerts", role: "alert" });
      this.append(this.list);
    }
    this.#stop = store.outcomes((refusal, thing) => {
      if (refusal) this.#show(refusal);
      else this.#clear(thing);
    });
  }

  disconnectedCallback() {
    this.#stop();
  }

  /** @param {import("../store.js").Refusal} refusal */
  #show({ code, message, thing }) {
    const same = this.#items.find((item) => item.dataset.code === code && item.dataset.thing === thing);
    if (same) {
      const times = Number(same.dataset.times) + 1;
      same.dataset.times = String(times);
      const count = same.querySelector(".alert-times");
      if (count) setText(count, t("alerts.times", { n: times }));
      return;
    }
    const known = tMaybe(`refused.${code}`);
    // Who types topics is told the nearest one, which only the hub's own words name.
    const words = !known ? t("refused.unknown", { message }) : thing === "topics" && code.startsWith("unknown_") ? message : known;
    const item = el(
      "div",
      { class: "alert", "data-code": code, "data-thing": thing, "data-times": "1" },
      icon("warn"),
      el("p", {}, el("span", { text: words }), " ", el("span", { class: "alert-times quiet" })),
      el("button", { type: "button", class: "icon-button", "aria-label": t("alerts.dismiss"), onclick: () => this.#dismiss(item) }, icon("close")),
    );
    this.list?.append(item);
    for (const old of this.#items.slice(0, -ALERTS_MAX)) old.remove();
  }

  /** @returns {HTMLElement[]} */
  get #items() {
    return /** @type {HTMLElement[]} */ ([...(this.list?.children ?? [])]);
  }

  /** A thing that accepts commands again needs no old refusal on screen. */
  #clear(/** @type {string} */ thing) {
    for (const item of this.#items) if (item.dataset.thing === thing) item.remove();
  }

  #dismiss(/** @type {HTMLElement} */ item) {
    const hadFocus = item.contains(document.activeElement);
    item.remove();
    if (hadFocus) document.getElementById("main")?.focus({ preventScroll: true });
  }
}

customElements.define("lockstep-alerts", LockstepAlerts);
