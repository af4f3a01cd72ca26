// @ts-check
/** `<lockstep-banner>`: says when what is shown is not live, when the next try is, and lets a person try at once. */
import { el, hide, icon, setText } from "../dom.js";
import { t, timeOfDay } from "../i18n.js";
import { client, store, WHY_NOT } from "../page.js";

/** A reconnect that takes less is not worth a word. */
const GRACE_MS = 400;

export class LockstepBanner extends HTMLElement {
  #stop = () => {};
  /** @type {any} */ #timer = null;
  #liveAt = 0;
  #lostAt = 0;

  connectedCallback() {
    if (!this.text) {
      this.text = el("p", { id: WHY_NOT, class: "banner-text" });
      this.count = el("span", { class: "banner-count", "aria-hidden": "true" });
      this.button = el("button", { type: "button", class: "button", text: t("link.tryNow"), onclick: () => client.retry() });
      this.body = el("div", { class: "banner", hidden: true }, icon("warn"), el("div", { class: "banner-words" }, this.text, this.count), this.button);
      this.setAttribute("role", "status");
      this.append(this.body);
    }
    this.#stop = store.watch(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
    clearTimeout(this.#timer);
  }

  #draw() {
    const { body, text, count, button } = this;
    if (!body || !text || !count || !button) return;
    clearTimeout(this.#timer);
    const now = Date.now();
    if (store.live) {
      this.#liveAt = now;
      this.#lostAt = 0;
      document.documentElement.dataset.link = "live";
      count.hidden = true;
      hide(button);
      body.hidden = store.mayCommand;
      if (!store.mayCommand) setText(text, t("link.viewer"));
      return;
    }
    this.#lostAt ||= now;
    document.documentElement.dataset.link = this.#liveAt ? "stale" : "new";
    const late = now - this.#lostAt >= GRACE_MS;
    if (late) {
      body.hidden = count.hidden = button.hidden = false;
      setText(text, this.#liveAt ? t("link.lostText", { time: timeOfDay(this.#liveAt, true) }) : t("link.neverText"));
      const { state, retryAt } = client.status;
      const seconds = retryAt ? Math.max(0, Math.ceil((retryAt - now) / 1000)) : 0;
      setText(count, state === "waiting" && seconds > 0 ? t("link.retryIn", { seconds }) : t("link.trying"));
    }
    this.#timer = setTimeout(() => this.#draw(), late ? 500 : GRACE_MS);
  }
}

customElements.define("lockstep-banner", LockstepBanner);
