// @ts-check
/** `<lockstep-settings>`: what is chosen per browser (name, language, colours, sound, notifications, screen), and the connection's figures. */
import { SOUNDS } from "../alarm.js";
import { alarm, notificationsBarred, notificationsOn, wakeBarred, wakeOn, wantNotifications, wantWake, watchAttention } from "../attention.js";
import { ask } from "../api.js";
import { el, icon, setText } from "../dom.js";
import { LANGUAGES, language, t } from "../i18n.js";
import { store } from "../page.js";
import { remember } from "../theme.js";
import "./connection.js";
import "./theme-toggle.js";

const NAME_CHARS_MAX = 32;

export class LockstepSettings extends HTMLElement {
  #stop = () => {};

  connectedCallback() {
    if (!this.dialog) this.#build();
    this.#stop = watchAttention(() => this.#draw());
    this.#draw();
  }

  disconnectedCallback() {
    this.#stop();
  }

  #build() {
    this.person = el("input", { id: "set-name", type: "text", class: "text-input", maxlength: NAME_CHARS_MAX, autocomplete: "nickname", value: store.name, onchange: () => this.#rename() });
    const languages = Object.entries(LANGUAGES).map(([tag, name]) => el("option", { value: tag, text: name, lang: tag, selected: tag === language }));
    const speak = el("select", { id: "set-language", class: "text-input", onchange: () => (remember("lockstep.language", speak.value), location.reload()) }, ...languages);
    this.sound = this.#switch("set-sound", () => alarm.choose({ on: this.sound?.checked }));
    const sounds = Object.keys(SOUNDS).map((name) => el("option", { value: name, text: t(/** @type {any} */ (`sound.${name}`)), selected: name === alarm.name }));
    const which = el("select", { id: "set-which", class: "text-input", onchange: () => (alarm.choose({ name: which.value }), void alarm.preview()) }, ...sounds);
    const loud = el("input", { id: "set-volume", type: "range", min: 0, max: 1, step: 0.05, value: alarm.volume, class: "plain-range", onchange: () => (alarm.choose({ volume: Number(loud.value) }), void alarm.preview()) });
    this.notify = this.#switch("set-notify", () => void wantNotifications(Boolean(this.notify?.checked)));
    this.notifyNote = el("p", { class: "quiet set-note" });
    this.wake = this.#switch("set-wake", () => void wantWake(Boolean(this.wake?.checked)));
    this.wakeNote = el("p", { class: "quiet set-note" });
    this.out = el("button", { type: "button", class: "button", text: t("login.leave"), hidden: true, onclick: () => void this.#leave() });
    const row = (/** @type {string} */ id, /** @type {any} */ key, /** @type {Node[]} */ ...nodes) => el("div", { class: "set-row" }, el("label", { for: id, text: t(key) }), ...nodes);
    this.dialog = el(
      "dialog",
      { class: "dialog settings", "aria-labelledby": "settings-title", onclick: (/** @type {Event} */ event) => event.target === this.dialog && this.dialog?.close() },
      el("div", { class: "dialog-head" }, el("h2", { id: "settings-title", text: t("settings.title") }), el("button", { type: "button", class: "icon-button", "aria-label": t("settings.close"), onclick: () => this.dialog?.close() }, icon("close"))),
      el("div", { class: "set-rows" }, row("set-name", "settings.name", this.person), row("set-language", "settings.language", speak), el("div", { class: "set-row" }, el("span", { text: t("theme.label") }), el("lockstep-theme"))),
      el("h3", { text: t("settings.alarm") }),
      el("div", { class: "set-rows" }, row("set-sound", "settings.sound", this.sound), row("set-which", "settings.which", which), row("set-volume", "settings.volume", loud), el("div", { class: "set-row" }, el("span"), el("button", { type: "button", class: "button", text: t("settings.try"), onclick: () => void alarm.preview() }))),
      el("div", { class: "set-rows" }, row("set-notify", "settings.notify", this.notify, this.notifyNote), row("set-wake", "settings.wake", this.wake, this.wakeNote)),
      el("h3", { text: t("link.title") }),
      el("lockstep-connection"),
      el("div", { class: "setup-actions" }, this.out),
    );
    const open = el("button", { type: "button", class: "icon-button", "aria-label": t("settings.title"), title: t("settings.title"), onclick: () => void this.#open() }, icon("gear"));
    this.append(open, this.dialog);
  }

  async #open() {
    this.dialog?.showModal();
    // Who is nobody in particular has nothing to log out from.
    const me = await ask("GET", "me").catch(() => null);
    if (this.out) this.out.hidden = !(me?.name || me?.room);
  }

  async #leave() {
    await ask("POST", "logout").catch(() => {});
    location.replace("login");
  }

  #switch(/** @type {string} */ id, /** @type {() => void} */ act) {
    return el("input", { id, type: "checkbox", role: "switch", class: "switch", onchange: act });
  }

  #rename() {
    const name = this.person?.value.trim() ?? "";
    remember("lockstep.name", name);
    store.rename(name);
  }

  #draw() {
    const { sound, notify, notifyNote, wake, wakeNote } = this;
    if (!sound || !notify || !notifyNote || !wake || !wakeNote) return;
    sound.checked = alarm.on;
    const barred = notificationsBarred();
    notify.checked = notificationsOn();
    notify.disabled = barred !== null;
    setText(notifyNote, barred ? t(/** @type {any} */ (`barred.${barred}`)) : "");
    const asleep = wakeBarred();
    wake.checked = wakeOn();
    wake.disabled = asleep !== null;
    setText(wakeNote, asleep ? t(/** @type {any} */ (`barred.${asleep}`)) : "");
  }
}

customElements.define("lockstep-settings", LockstepSettings);
