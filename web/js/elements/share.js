// @ts-check
/** `<lockstep-share>`: this room's address as a link and a QR code, with nothing secret in it; and the PIN of its guests, who may be in it alone. */
import { ask } from "../api.js";
import { el, hide, icon, setText, svg } from "../dom.js";
import { t } from "../i18n.js";
import { store } from "../page.js";
import { qrModules } from "../qr.js";

const QUIET_MODULES = 4;

export class LockstepShare extends HTMLElement {
  connectedCallback() {
    if (this.dialog) return;
    this.link = el("input", { class: "text-input wide", readonly: true, "aria-label": t("share.link"), onfocus: () => this.link?.select() });
    this.picture = el("div", { class: "qr" });
    this.outcome = el("p", { class: "quiet", role: "status" });
    this.hint = el("p", { class: "setup-warning", hidden: true }, icon("warn"), el("span", { text: t("share.here") }));
    this.dialog = el(
      "dialog",
      { class: "dialog share", "aria-labelledby": "share-title", onclick: (/** @type {Event} */ event) => event.target === this.dialog && this.dialog?.close() },
      el("div", { class: "dialog-head" }, el("h2", { id: "share-title", text: t("share.title") }), el("button", { type: "button", class: "icon-button", "aria-label": t("settings.close"), onclick: () => this.dialog?.close() }, icon("close"))),
      this.picture,
      this.hint,
      this.link,
      el("div", { class: "setup-actions" }, this.outcome, el("button", { type: "button", class: "button primary", text: t("share.copy"), onclick: () => void this.#copy() })),
      this.#guests(),
    );
    this.append(el("button", { type: "button", class: "icon-button", "aria-label": t("share.title"), title: t("share.title"), onclick: () => this.#open() }, icon("share")), this.dialog);
  }

  /** The PIN of the room: made by the hub, shown once. */
  #guests() {
    this.guestRole = el("select", { id: "guest-role", class: "text-input" }, el("option", { value: "viewer", text: t("guests.viewer") }), el("option", { value: "member", text: t("guests.member") }));
    this.pin = el("p", { class: "guest-pin", role: "status" });
    this.make = el("button", { type: "button", class: "button", text: t("guests.make"), onclick: () => void this.#invite() });
    this.end = el("button", { type: "button", class: "button", text: t("guests.end"), hidden: true, onclick: () => void this.#dismiss() });
    this.why = el("p", { class: "quiet" });
    return el("section", { class: "guests", "aria-labelledby": "guests-title" }, el("h3", { id: "guests-title", text: t("guests.title") }), this.why, el("div", { class: "set-row" }, el("label", { for: "guest-role", text: t("guests.may") }), this.guestRole), this.pin, el("div", { class: "setup-actions" }, this.end, this.make));
  }

  async #invite() {
    try {
      const { pin } = await ask("PUT", `rooms/${store.roomId}/guests`, { role: this.guestRole?.value });
      // The secret stays in the fragment, which no server sees.
      this.#show(new URL(`login#${new URLSearchParams({ room: store.roomId, pin })}`, document.baseURI).href);
      if (this.pin) setText(this.pin, t("guests.pin", { pin: `${pin.slice(0, 4)} ${pin.slice(4)}` }));
      if (this.end) this.end.hidden = false;
    } catch (error) {
      if (this.pin) setText(this.pin, t("guests.failed"));
    }
  }

  async #dismiss() {
    try {
      await ask("DELETE", `rooms/${store.roomId}/guests`);
      this.#open();
      if (this.pin) setText(this.pin, t("guests.ended"));
    } catch {
      if (this.pin) setText(this.pin, t("guests.failed"));
    }
  }

  /** Where a PIN is, it can be ended; who may not, reads why. */
  async #drawGuests() {
    const { guestRole: role, pin, make, end, why } = this;
    if (!role || !pin || !make || !end || !why) return;
    const may = store.mayAdminister;
    role.disabled = make.disabled = !may;
    setText(why, may ? t("guests.text") : t("rooms.adminOnly", { role: store.role }));
    setText(pin, "");
    if (!may) return hide(end);
    const set = await ask("GET", `rooms/${store.roomId}/guests`).catch(() => null);
    end.hidden = false;
    if (set?.role) role.value = set.role;
    else hide(end, make);
  }

  #open() {
    const { dialog, hint } = this;
    if (!dialog || !hint) return;
    const url = new URL("./", document.baseURI);
    if (store.roomId !== "main") url.searchParams.set("room", store.roomId);
    hint.hidden = !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
    this.#show(url.href);
    void this.#drawGuests();
    if (!dialog.open) dialog.showModal();
  }

  /** An address as text and as a QR code. */
  #show(/** @type {string} */ address) {
    const { link, picture, outcome } = this;
    if (!link || !picture || !outcome) return;
    link.value = address;
    setText(outcome, "");
    const modules = qrModules(address);
    picture.replaceChildren(...(modules ? [draw(modules)] : []));
  }

  async #copy() {
    const { link, outcome } = this;
    if (!link || !outcome) return;
    try {
      await navigator.clipboard.writeText(link.value);
      setText(outcome, t("share.copied"));
    } catch {
      link.select(); // over plain HTTP browsers forbid copying; then it is selected at least
      setText(outcome, t("share.selected"));
    }
  }
}

/** @param {boolean[][]} modules */
function draw(modules) {
  const size = modules.length + 2 * QUIET_MODULES;
  const path = modules.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x + QUIET_MODULES} ${y + QUIET_MODULES}h1v1h-1z`] : []))).join("");
  return svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": t("share.code"), "shape-rendering": "crispEdges" }, svg("path", { fill: "#fff", d: `M0 0h${size}v${size}H0z` }), svg("path", { fill: "#000", d: path }));
}

customElements.define("lockstep-share", LockstepShare);
