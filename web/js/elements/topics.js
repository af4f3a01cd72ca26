// @ts-check
/** `<lockstep-topics>`: every retained topic as a tree with live values. Only the rows in sight are elements. */
import { confirmDialog } from "../confirm.js";
import { el, hide, icon, setAttr, setText } from "../dom.js";
import { t, timeOfDay } from "../i18n.js";
import { bar, client, store } from "../page.js";
import { preview, readAs, sortTopics, treeRows } from "../topic-tree.js";

/** @typedef {import("../topic-tree.js").Row} Row */

const ROW_PX = 40;
const ROWS_BEYOND = 6;
const FORMATS = /** @type {const} */ (["json", "text", "hex"]);

export class LockstepTopics extends HTMLElement {
  #stop = () => {};
  /** @type {Set<string>} */ #topics = new Set();
  /** @type {Map<string, number>} */ #heardAt = new Map();
  /** @type {Set<string>} */ #folded = new Set();
  /** @type {Row[]} */ #rows = [];
  /** @type {Map<number, HTMLButtonElement>} */ #drawn = new Map();
  #stale = true;
  #queued = false;
  #selected = "";
  /** @type {typeof FORMATS[number]} */ #format = "json";

  connectedCallback() {
    if (!this.list) this.#build();
    const resize = new ResizeObserver(() => this.#later());
    if (this.list) resize.observe(this.list);
    const unsubscribe = client.subscribe("#", (message) => this.#take(message));
    this.#stop = () => (unsubscribe(), resize.disconnect());
    this.#later();
  }

  disconnectedCallback() {
    this.#stop();
    this.#topics.clear();
    this.#drawn.clear();
    this.space?.replaceChildren();
  }

  #build() {
    this.filter = el("input", { id: "topic-filter", type: "search", class: "text-input", placeholder: t("topics.filter"), "aria-label": t("topics.filter"), oninput: () => this.#refilter() });
    this.count = el("p", { class: "quiet", role: "status" });
    this.space = el("div", { class: "topic-space" });
    this.list = el("div", { class: "topic-list", role: "group", "aria-label": t("topics.title"), tabindex: 0, onscroll: () => this.#later(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) }, this.space);
    this.path = el("h2", { class: "topic-path", text: t("topics.none") });
    this.facts = el("p", { class: "quiet" });
    this.payload = el("pre", { class: "topic-payload", tabindex: 0, "aria-label": t("topics.payload") });
    this.format = el("select", { class: "text-input", "aria-label": t("topics.as"), onchange: () => this.#reformat() }, ...FORMATS.map((name) => el("option", { value: name, text: t(`topics.${name}`) })));
    this.clear = el("button", { type: "button", class: "button", onclick: () => this.dialog?.showModal() }, icon("trash"), el("span", { text: t("topics.clear") }));
    this.detail = el("section", { class: "card topic-detail" }, this.path, this.facts, this.payload, el("div", { class: "topic-tools" }, this.format, this.clear));
    this.dialog = confirmDialog({ id: "clear-title", title: t("topics.clearTitle"), text: t("topics.clearText"), answers: [["clear", t("topics.clear")]] }, () => void this.#clearSelected());
    this.append(el("section", { class: "card topic-card" }, el("div", { class: "topic-head" }, el("h2", { text: t("topics.title") }), this.count), this.filter, this.list), el("div", { class: "side" }, this.detail, this.#form()), this.dialog);
  }

  #form() {
    this.topic = el("input", { id: "pub-topic", class: "text-input wide", required: true, maxlength: 1000, autocomplete: "off", spellcheck: "false" });
    this.text = el("textarea", { id: "pub-text", class: "text-input wide", rows: 3, spellcheck: "false" });
    this.retain = el("input", { id: "pub-retain", type: "checkbox", role: "switch", class: "switch" });
    this.outcome = el("p", { class: "quiet", role: "status" });
    this.submit = el("button", { type: "submit", class: "button primary", text: t("topics.send") });
    return el(
      "form",
      { class: "card topic-form", onsubmit: (/** @type {Event} */ event) => this.#publish(event) },
      el("h2", { text: t("topics.publish") }),
      el("label", { for: "pub-topic", text: t("topics.topic") }),
      this.topic,
      el("label", { for: "pub-text", text: t("topics.payload") }),
      this.text,
      el("div", { class: "set-row" }, el("label", { for: "pub-retain", text: t("topics.retain") }), this.retain),
      el("div", { class: "setup-actions" }, this.outcome, this.submit),
    );
  }

  /** @param {import("../client.js").Message} message */
  #take(message) {
    if (!message.retain) return;
    if (message.deleted) {
      this.#stale = this.#topics.delete(message.topic) || this.#stale;
      this.#heardAt.delete(message.topic);
      return this.#later();
    }
    if (!this.#topics.has(message.topic)) {
      this.#topics.add(message.topic);
      this.#stale = true;
    }
    if (!message.replay) this.#heardAt.set(message.topic, Date.now());
    this.#later();
  }

  #refilter() {
    this.#stale = true;
    if (this.list) this.list.scrollTop = 0;
    this.#later();
  }

  #reformat() {
    this.#format = FORMATS.find((name) => name === this.format?.value) ?? "json";
    this.#drawDetail();
  }

  /** At most one drawing a frame, however much arrives. */
  #later() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      if (this.isConnected) this.#draw();
    });
  }

  #draw() {
    const { list, space, count, filter } = this;
    if (!list || !space || !count || !filter) return;
    if (this.#stale) {
      this.#stale = false;
      this.#rows = treeRows(sortTopics(this.#topics), { filter: filter.value, folded: this.#folded });
      space.style.height = `${this.#rows.length * ROW_PX}px`;
      setText(count, t("topics.count", { n: this.#topics.size.toLocaleString() }));
    }
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - ROWS_BEYOND);
    const last = Math.min(this.#rows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_PX) + ROWS_BEYOND);
    for (const [at, button] of this.#drawn) {
      if (at >= first && at < last) continue;
      if (button === document.activeElement) list.focus({ preventScroll: true });
      button.remove();
      this.#drawn.delete(at);
    }
    for (let at = first; at < last; at++) this.#drawRow(at, this.#rows[at]);
    this.#drawDetail();
  }

  /** @param {number} at @param {Row} row */
  #drawRow(at, row) {
    let button = this.#drawn.get(at);
    if (!button) {
      button = el("button", { type: "button", class: "topic-row", tabindex: -1 }, el("span", { class: "topic-fold", "aria-hidden": "true" }), el("span", { class: "topic-label" }), el("span", { class: "topic-value" }), el("span", { class: "quiet topic-inside" }));
      button.addEventListener("click", () => this.#choose(at));
      button.style.transform = `translateY(${at * ROW_PX}px)`;
      this.#drawn.set(at, button);
      this.space?.append(button);
    }
    const value = row.topic ? client.value(row.path) : null;
    const [fold, label, text, inside] = [...button.children];
    setText(fold, row.inside ? (row.open ? "▾" : "▸") : "");
    setText(label, row.label || "∅");
    setText(text, value ? preview(value) : "");
    setText(inside, row.inside ? String(row.inside) : "");
    setAttr(button, "aria-expanded", row.inside ? String(row.open) : null);
    setAttr(button, "aria-current", row.path === this.#selected ? "true" : null);
    setAttr(button, "title", row.path);
    button.style.setProperty("--depth", String(row.depth));
  }

  #choose(/** @type {number} */ at) {
    const row = this.#rows[at];
    if (!row) return;
    if (row.inside && (!row.topic || this.#selected === row.path)) {
      if (this.#folded.has(row.path)) this.#folded.delete(row.path);
      else this.#folded.add(row.path);
      this.#stale = true;
    }
    if (row.topic) {
      this.#selected = row.path;
      if (this.topic) this.topic.value = row.path;
    }
    this.#later();
  }

  /** Arrows walk, Left and Right fold, Enter chooses. */
  #key(/** @type {KeyboardEvent} */ event) {
    const list = this.list;
    if (!list) return;
    const now = [...this.#drawn].find(([, button]) => button === document.activeElement)?.[0] ?? -1;
    const page = Math.floor(list.clientHeight / ROW_PX);
    const goal = { ArrowDown: now + 1, ArrowUp: now - 1, PageDown: now + page, PageUp: now - page, Home: 0, End: this.#rows.length - 1 }[event.key];
    const row = this.#rows[now];
    if (goal === undefined) {
      const folds = (event.key === "ArrowLeft" && row?.open) || (event.key === "ArrowRight" && row && !row.open);
      if (!folds || !row?.inside) return;
      if (row.open) this.#folded.add(row.path);
      else this.#folded.delete(row.path);
      this.#stale = true;
      event.preventDefault();
      return this.#later();
    }
    event.preventDefault();
    const at = Math.min(this.#rows.length - 1, Math.max(0, goal));
    const top = at * ROW_PX;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
    this.#draw();
    this.#drawn.get(at)?.focus({ preventScroll: true });
  }

  #drawDetail() {
    const { path, facts, payload, clear, format } = this;
    if (!path || !facts || !payload || !clear || !format) return;
    bar(clear);
    if (this.submit) bar(this.submit);
    const value = this.#selected ? client.value(this.#selected) : null;
    setText(path, this.#selected || t("topics.none"));
    for (const part of [clear, format, payload]) if (value) part.hidden = false; else hide(part, this.list);
    if (!value) return setText(facts, this.#selected ? t("topics.gone") : "");
    const heard = this.#heardAt.get(this.#selected);
    setText(facts, [t("topics.retained"), `#${value.seq}`, value.format, ...(heard ? [timeOfDay(heard, true)] : [])].join(" · "));
    setText(payload, readAs(value, this.#format));
  }

  async #clearSelected() {
    await this.#say(client.publish(this.#selected, "", { retain: true, format: "text" }));
  }

  #publish(/** @type {Event} */ event) {
    event.preventDefault();
    const [topic, text] = [this.topic?.value ?? "", this.text?.value ?? ""];
    void this.#say(client.publish(topic, text, { format: "text", retain: this.retain?.checked }));
  }

  async #say(/** @type {Promise<{seq: number}>} */ sent) {
    if (!this.outcome) return;
    setText(this.outcome, "…");
    try {
      setText(this.outcome, t("topics.sent", { seq: (await sent).seq }));
    } catch (error) {
      setText(this.outcome, "");
      store.refuse({ code: /** @type {any} */ (error).code ?? "unknown", message: /** @type {Error} */ (error).message, thing: "topics", command: null });
    }
  }
}

customElements.define("lockstep-topics", LockstepTopics);
