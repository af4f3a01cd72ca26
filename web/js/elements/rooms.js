// @ts-check
/** `<lockstep-rooms>`: who is in this room, its name, further rooms; what only an admin may do is there, quiet, and says why. */
import { ask } from "../api.js";
import { confirmDialog } from "../confirm.js";
import { el, icon, setAttr, setText } from "../dom.js";
import { ago, t, tMaybe } from "../i18n.js";
import { store } from "../page.js";

const NAME_CHARS_MAX = 64;

export class LockstepRooms extends HTMLElement {
  #stop = () => {};
  #drawn = "";
  #minute = 0;

  connectedCallback() {
    if (!this.dialog) this.#build();
    this.#stop = store.watch(() => this.dialog?.open && this.#draw());
  }

  disconnectedCallback() {
    this.#stop();
  }

  #build() {
    const close = () => this.dialog?.close();
    this.here = el("ul", { class: "present" });
    this.why = el("p", { class: "quiet room-why" });
    this.name = el("input", { id: "room-rename", class: "text-input", maxlength: NAME_CHARS_MAX, required: true, autocomplete: "off" });
    this.fresh = el("input", { id: "room-new", class: "text-input", maxlength: NAME_CHARS_MAX, required: true, autocomplete: "off" });
    this.outcome = el("p", { class: "quiet", role: "status" });
    const form = (/** @type {string} */ id, /** @type {any} */ key, /** @type {HTMLElement} */ input, /** @type {any} */ act, /** @type {() => Promise<void>} */ go) =>
      el("form", { class: "room-form", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void this.#try(go)) }, el("label", { for: id, text: t(key) }), el("div", { class: "room-row" }, input, el("button", { class: "button", text: t(act) })));
    this.erase = el("button", { type: "button", class: "button", onclick: () => this.#askFirst() }, icon("trash"), el("span", { text: t("rooms.delete") }));
    this.forms = el("div", { class: "room-forms" }, form("room-rename", "rooms.name", this.name, "rooms.rename", () => this.#rename()), form("room-new", "rooms.new", this.fresh, "rooms.create", () => this.#create()), this.erase);
    this.dialog = el(
      "dialog",
      { class: "dialog settings", "aria-labelledby": "rooms-title", onclick: (/** @type {Event} */ event) => event.target === this.dialog && close() },
      el("div", { class: "dialog-head" }, el("h2", { id: "rooms-title", text: t("rooms.title") }), el("button", { type: "button", class: "icon-button", "aria-label": t("settings.close"), onclick: close }, icon("close"))),
      el("h3", { text: t("room.here") }),
      this.here,
      el("h3", { text: t("rooms.manage") }),
      this.why,
      this.forms,
      this.outcome,
    );
    this.sure = confirmDialog({ id: "room-sure-title", title: "", text: t("rooms.deleteText"), answers: [["delete", t("rooms.delete")]] }, () => void this.#try(() => this.#delete()));
    this.append(el("button", { type: "button", class: "icon-button", "aria-label": t("rooms.title"), title: t("rooms.title"), onclick: () => this.#open() }, icon("home")), this.dialog, this.sure);
  }

  #open() {
    this.#drawn = "";
    if (this.outcome) setText(this.outcome, "");
    if (this.name) this.name.value = store.room?.name ?? "";
    this.#draw();
    this.dialog?.showModal();
  }

  #draw() {
    const { here, why, forms } = this;
    if (!here || !why || !forms) return;
    const may = store.mayAdminister;
    setText(why, may ? "" : t("rooms.adminOnly", { role: store.role }));
    for (const part of forms.querySelectorAll("input, button")) /** @type {HTMLInputElement} */ (part).disabled = !may;
    const minute = Math.floor(store.now() / 60_000);
    const wanted = JSON.stringify([store.people, store.away]);
    if (wanted === this.#drawn && minute === this.#minute) return;
    [this.#drawn, this.#minute] = [wanted, minute];
    const when = (/** @type {any} */ key, /** @type {number|null} */ since) => (since ? t(key, { when: ago(Math.max(0, store.now() - since)) }) : t("rooms.seenUnknown"));
    const row = (/** @type {{name: string, kind: string, since: number|null}} */ who, /** @type {boolean} */ away) =>
      el("li", { "data-away": away ? "" : null }, el("span", { class: "person", "data-kind": who.kind, "aria-hidden": "true", text: [...who.name][0]?.toUpperCase() ?? "?" }), el("span", { class: "present-name", text: who.name }), el("span", { class: "quiet", text: away ? when("rooms.seen", who.since) : when("rooms.since", who.since) }));
    const rows = [...store.people.map((who) => row(who, false)), ...store.away.map((who) => row(who, true))];
    here.replaceChildren(...(rows.length ? rows : [el("li", { class: "quiet", text: t("rooms.nobody") })]));
  }

  async #rename() {
    await ask("PATCH", `rooms/${store.roomId}`, { name: this.name?.value.trim() });
    this.#say(t("rooms.renamed"));
  }

  async #create() {
    const name = this.fresh?.value.trim() ?? "";
    const room = await ask("POST", "rooms", { name });
    if (this.fresh) this.fresh.value = "";
    this.dialog?.close();
    this.dispatchEvent(new CustomEvent("enterroom", { bubbles: true, detail: room.id }));
  }

  #askFirst() {
    const title = this.sure?.querySelector("h2");
    if (!this.sure || !title) return;
    setText(title, t("rooms.deleteTitle", { room: store.room?.name ?? store.roomId }));
    this.sure.showModal();
  }

  async #delete() {
    const others = store.rooms.filter((room) => room.id !== store.roomId);
    const next = others.find((room) => room.id === "main") ?? others[0];
    await ask("DELETE", `rooms/${store.roomId}`);
    this.dialog?.close();
    this.dispatchEvent(new CustomEvent("enterroom", { bubbles: true, detail: next?.id ?? "main" }));
  }

  /** What did not work is said in the dialog: alerts lie below it. @param {() => Promise<void>} go */
  async #try(go) {
    try {
      await go();
    } catch (error) {
      const { code, message } = /** @type {any} */ (error);
      this.#say(code === "forbidden" || code === "owned_topic" || code === "unknown" || code === "malformed" || code === "limit" ? message : (tMaybe(`refused.${code}`) ?? message), true);
    }
  }

  #say(/** @type {string} */ text, wrong = false) {
    if (!this.outcome) return;
    setText(this.outcome, text);
    setAttr(this.outcome, "data-wrong", wrong ? "" : null);
  }
}

customElements.define("lockstep-rooms", LockstepRooms);
