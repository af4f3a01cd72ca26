// @ts-check
/** `<lockstep-share>`: this room's address as a link and a QR code. Nothing secret is in it. */
import { el, icon, setText, svg } from "../dom.js";
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
    );
    this.append(el("button", { type: "button", class: "icon-button", "aria-label": t("share.title"), title: t("share.title"), onclick: () => this.#open() }, icon("share")), this.dialog);
  }

  #open() {
    const { dialog, link, picture, outcome, hint } = this;
    if (!dialog || !link || !picture || !outcome || !hint) return;
    const url = new URL("./", document.baseURI);
    if (store.roomId !== "main") url.searchParams.set("room", store.roomId);
    hint.hidden = !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
    link.value = url.href;
    setText(outcome, "");
    const modules = qrModules(url.href);
    picture.replaceChildren(...(modules ? [draw(modules)] : []));
    dialog.showModal();
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
