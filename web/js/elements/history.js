// @ts-check
/** `<lockstep-history>`: the room's finished phases: a day, a week, a year; as plots, as a table, as a file. */
import { clockText } from "../countdown.js";
import { el, icon, setAttr, setText, svg } from "../dom.js";
import { language, t, timeOfDay, tMaybe } from "../i18n.js";
import { store, whoDid } from "../page.js";
import { axisTop, level, midnight, perDay, placeInDay, rangeOf, rhythm, shifted, SPANS, totals } from "../past.js";

/** @typedef {import("../past.js").Phase} Phase @typedef {import("../past.js").Day} Day @typedef {import("../past.js").Span} Span */

const PAGE_PHASES = 5_000;
/** More than a class finishes in a year; beyond it the page says so. */
const PAGES_MAX = 8;
/** The journal hears of an end at the same time as the page. */
const SETTLE_MS = 300;
/** A history that did not come is asked for again after this long. */
const AGAIN_MS = 4_000;
const CELL = 12;

export class LockstepHistory extends HTMLElement {
  #stop = () => {};
  /** @type {Span} */ #span = "week";
  #at = Date.now();
  #following = "";
  /** @type {any} */ #timer = null;
  /** @type {AbortController|null} */ #asking = null;

  connectedCallback() {
    if (!this.body) this.#build();
    this.#at = store.now();
    this.#stop = store.watch(() => this.#follow());
  }

  disconnectedCallback() {
    this.#stop();
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#following = "";
  }

  #build() {
    const choices = SPANS.map((span) => {
      const input = el("input", { type: "radio", name: "history-span", value: span, checked: span === this.#span, onchange: () => this.#choose(span) });
      return el("label", { class: "segment wide" }, input, el("span", { text: t(/** @type {any} */ (`history.${span}`)) }));
    });
    const step = (/** @type {number} */ way, /** @type {string} */ picture, /** @type {any} */ key) => el("button", { type: "button", class: "icon-button", "aria-label": t(key), title: t(key), onclick: () => this.#step(way) }, icon(picture));
    this.when = el("p", { class: "history-when", role: "status" });
    this.later = step(1, "right", "history.later");
    this.body = el("div", { class: "history-body" });
    this.csv = el("a", { class: "button", download: "", text: "CSV" });
    this.json = el("a", { class: "button", download: "", text: "JSON" });
    this.append(
      el(
        "section",
        { class: "card history-card", "aria-labelledby": "history-title" },
        el("div", { class: "history-head" }, el("h2", { id: "history-title", text: t("history.title") }), el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden", text: t("history.span") }), ...choices)),
        el("div", { class: "history-range" }, step(-1, "left", "history.earlier"), this.when, this.later),
        this.body,
        el("p", { class: "history-export" }, el("span", { class: "quiet", text: t("history.export") }), this.csv, this.json),
      ),
    );
  }

  /** Another room, or the end of a phase, is another history. */
  #follow() {
    if (!store.live) return;
    const phases = store.things.map((thing) => store.state(thing.id)?.payload).filter((state) => state?.phase);
    const wanted = JSON.stringify([store.roomId, phases.map((state) => [state.phase, state.started_at])]);
    if (wanted === this.#following) return;
    const first = !this.#following;
    this.#following = wanted;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(), first ? 0 : SETTLE_MS);
  }

  #choose(/** @type {Span} */ span) {
    this.#span = span;
    void this.#load();
  }

  #step(/** @type {number} */ way) {
    this.#at = Math.min(store.now(), shifted(this.#span, this.#at, way));
    void this.#load();
  }

  /** Asks anew for a history that did not come, when the hub is there. */
  #again() {
    if (store.live) void this.#load();
    else this.#timer = setTimeout(() => this.#again(), AGAIN_MS);
  }

  async #load() {
    const { when, body, csv, json, later } = this;
    if (!when || !body || !csv || !json || !later) return;
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const span = this.#span;
    const [from, until] = rangeOf(span, this.#at);
    setText(when, rangeText(span, from, until));
    setAttr(later, "aria-disabled", until > store.now() ? "true" : null);
    const address = (/** @type {string} */ more) => new URL(`api/v1/rooms/${store.roomId}/history?from=${from}&until=${until}&${more}`, document.baseURI).href;
    csv.href = address("limit=20000&format=csv");
    json.href = address("limit=20000");
    csv.download = `lockstep-${store.roomId}.csv`;
    json.download = `lockstep-${store.roomId}.json`;
    try {
      const { phases, cut } = await readAll(address, asking.signal);
      this.#draw(span, phases, from, until, cut);
    } catch (error) {
      if (asking.signal.aborted) return;
      const words = /** @type {any} */ (error).code === "storage" ? t("refused.storage") : t("history.failed");
      // Said once, however often it is tried again.
      if (body.querySelector("[role=alert]")?.textContent !== words) body.replaceChildren(el("p", { class: "setup-warning", role: "alert" }, icon("warn"), el("span", { text: words })));
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#again(), AGAIN_MS);
    }
  }

  /** @param {Span} span @param {Phase[]} phases @param {number} from @param {number} until @param {boolean} cut */
  #draw(span, phases, from, until, cut) {
    const days = perDay(phases, from, until);
    const sum = totals(days);
    const tile = (/** @type {string} */ value, /** @type {any} */ key) => el("div", {}, el("dd", { text: value }), el("dt", { text: t(key) }));
    const tiles = el("dl", { class: "tiles" }, tile(String(sum.periods), "history.periods"), tile(durationText(sum.seconds), "history.time"), tile(String(sum.brokenOff), "history.brokenOff"));
    if (span !== "day") tiles.append(tile(String(sum.daysWorked), "history.daysWorked"));
    const plot = span === "day" ? dayStrip(phases, from, until) : span === "week" ? weekBars(days) : yearMap(days, store.now());
    if (phases.length === 0) return void this.body?.replaceChildren(tiles, el("p", { class: "quiet history-none", text: t("history.none") }));
    const parts = [tiles, plot];
    if (span !== "day") parts.push(rhythmBars(rhythm(phases)));
    if (cut) parts.push(el("p", { class: "setup-warning" }, icon("warn"), el("span", { text: t("history.cut") })));
    parts.push(span === "day" ? phaseTable(phases) : el("details", { class: "history-table" }, el("summary", { text: t("history.table") }), dayTable(days)));
    this.body?.replaceChildren(...parts);
    const map = this.body?.querySelector(".year-scroll");
    if (map) map.scrollLeft = map.scrollWidth;
  }
}

/** All pages of an answer, up to a bound. @param {(more: string) => string} address @param {AbortSignal} signal @returns {Promise<{phases: Phase[], cut: boolean}>} */
async function readAll(address, signal) {
  /** @type {Phase[]} */
  const phases = [];
  let after = "";
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await fetch(address(`limit=${PAGE_PHASES}${after && `&after=${after}`}`), { signal, credentials: "same-origin" });
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.detail), { code: body.code });
    phases.push(...body.phases);
    if (!body.next) return { phases, cut: false };
    after = body.next;
  }
  return { phases, cut: true };
}

const date = (/** @type {number} */ at, /** @type {Intl.DateTimeFormatOptions} */ how) => new Date(at).toLocaleDateString(language === "de" ? "de" : undefined, how);

/** @param {Span} span @param {number} from @param {number} until */
function rangeText(span, from, until) {
  const last = until - 1;
  if (span === "day") return date(from, { weekday: "long", day: "numeric", month: "long" });
  if (span === "year") return `${date(from, { month: "short", year: "numeric" })} – ${date(last, { month: "short", year: "numeric" })}`;
  return `${date(from, { day: "numeric", month: "short" })} – ${date(last, { day: "numeric", month: "short", year: "numeric" })}`;
}

/** `3 h 20 min`; seconds where it is less than a minute. */
function durationText(/** @type {number} */ seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes === 0) return seconds > 0 ? `${Math.round(seconds)} s` : "0 min";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min` : ""}`.trim();
}

const phaseText = (/** @type {Phase} */ phase) => tMaybe(`message.${phase.phase}`) ?? phase.phase;
const outcomeText = (/** @type {Phase} */ phase) => t(phase.outcome === "completed" ? "history.completed" : "history.brokenOffOne");

/** The planned time is told where it was another. */
function tookText(/** @type {Phase} */ phase) {
  const [actual, planned] = [phase.actual_seconds, phase.planned_seconds].map((seconds) => clockText(seconds * 1000));
  return actual === planned ? actual : t("history.ofPlanned", { actual, planned });
}

/** The day as a line of 24 hours. @param {Phase[]} phases @param {number} from @param {number} until */
function dayStrip(phases, from, until) {
  const strip = el("div", { class: "strip", role: "img", "aria-label": t("history.stripLabel", { n: phases.length }) });
  for (let hour = 0; hour <= 24; hour += 6) {
    const mark = el("span", { class: "strip-hour", "aria-hidden": "true", text: String(hour).padStart(2, "0") });
    mark.style.left = `${(100 * hour) / 24}%`;
    strip.append(mark);
  }
  for (const phase of phases) {
    const [begin, end] = placeInDay(phase, from, until);
    const block = el("i", { class: "strip-block", "data-phase": phase.phase, "data-outcome": phase.outcome, title: `${timeOfDay(phase.started_at)}–${timeOfDay(phase.ended_at)} ${phaseText(phase)}, ${outcomeText(phase)}` });
    block.style.left = `${100 * begin}%`;
    block.style.width = `${100 * (end - begin)}%`;
    strip.append(block);
  }
  const key = (/** @type {string} */ name, /** @type {string} */ text, /** @type {string} */ outcome) => el("li", {}, el("i", { class: "strip-block key", "data-phase": name, "data-outcome": outcome }), text);
  return el("div", { class: "plot" }, strip, el("ul", { class: "keys quiet", "aria-hidden": "true" }, key("work", t("message.work"), "completed"), key("short_break", t("message.short_break"), "completed"), key("long_break", t("message.long_break"), "completed"), key("work", t("history.brokenOffOne"), "broken_off")));
}

/** @param {{label: string, value: number, text: string, now?: boolean}[]} bars @param {number} top @param {string} title @param {string} label */
function barPlot(bars, top, title, label) {
  const list = bars.map(({ label: name, value, text, now }) => {
    const bar = el("i", { class: "bar-fill" });
    const count = el("b", { text: value ? text : "" });
    bar.style.height = count.style.bottom = `${(100 * value) / top}%`;
    return el("li", { class: now ? "now" : "", title: text }, el("span", { class: "bar-space" }, bar, count), el("span", { class: "bar-name", text: name }));
  });
  return el("figure", { class: "plot" }, el("figcaption", { class: "quiet", text: title }), el("div", { role: "img", "aria-label": label }, el("ol", { class: "bars", "aria-hidden": "true", "data-bars": bars.length }, ...list)));
}

/** @param {Day[]} days */
function weekBars(days) {
  const today = midnight(store.now());
  const bars = days.map((day) => ({ label: date(day.at, { weekday: "short" }), value: day.periods, text: String(day.periods), now: day.at === today }));
  const said = days.map((day) => `${date(day.at, { weekday: "long" })} ${day.periods}`).join(", ");
  return barPlot(bars, axisTop(Math.max(...days.map((day) => day.periods))), t("history.perDay"), `${t("history.perDay")}: ${said}`);
}

/** @param {number[]} hours seconds of work */
function rhythmBars(hours) {
  const bars = hours.map((seconds, hour) => ({ label: hour % 6 === 0 ? String(hour) : "", value: seconds, text: `${hour}–${hour + 1}: ${durationText(seconds)}` }));
  const top = Math.max(...hours);
  const best = hours.indexOf(top);
  const label = top > 0 ? t("history.rhythmLabel", { from: best, to: best + 1, time: durationText(top) }) : t("history.none");
  const plot = barPlot(bars, top || 1, t("history.rhythm"), label);
  plot.classList.add("rhythm");
  return plot;
}

/** A square a day, a column a week, Monday on top. @param {Day[]} days @param {number} now */
function yearMap(days, now) {
  const most = Math.max(...days.map((day) => day.periods));
  const cells = days.flatMap((day, i) => {
    if (day.at > now) return [];
    const said = `${date(day.at, { day: "numeric", month: "long", year: "numeric" })}: ${day.periods}`;
    const cell = svg("rect", { class: "cell", x: Math.floor(i / 7) * CELL, y: 14 + (i % 7) * CELL, width: CELL - 2, height: CELL - 2, rx: 2.5, "data-level": level(day.periods, most) }, svg("title", { text: said }));
    return [cell];
  });
  const months = days.flatMap((day, i) => (new Date(day.at).getDate() === 1 ? [svg("text", { x: Math.floor(i / 7) * CELL, y: 9, text: date(day.at, { month: "short" }) })] : []));
  const wide = Math.ceil(days.length / 7) * CELL;
  const sum = totals(days);
  const map = svg("svg", { class: "year", viewBox: `0 0 ${wide} ${14 + 7 * CELL}`, role: "img", "aria-label": t("history.mapLabel", { n: sum.periods, days: sum.daysWorked }) }, ...months, ...cells);
  const key = [0, 1, 2, 3, 4].map((shade) => svg("svg", { width: CELL, height: CELL, "aria-hidden": "true" }, svg("rect", { class: "cell", width: CELL - 2, height: CELL - 2, rx: 2.5, "data-level": shade })));
  return el("figure", { class: "plot" }, el("figcaption", { class: "quiet", text: t("history.perDay") }), el("div", { class: "year-scroll", tabindex: 0, role: "group", "aria-label": t("history.perDay") }, map), el("p", { class: "keys quiet" }, t("history.less"), ...key, t("history.more")));
}

/** @param {string[]} heads @param {(string|Node)[][]} rows @param {string} caption */
function table(heads, rows, caption) {
  const row = (/** @type {(string|Node)[]} */ cells) => el("tr", {}, ...cells.map((cell, i) => (i ? el("td", {}, cell) : el("th", { scope: "row" }, cell))));
  return el("table", {}, el("caption", { class: "visually-hidden", text: caption }), el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col", text: head })))), el("tbody", {}, ...rows.map(row)));
}

/** @param {Phase[]} phases */
function phaseTable(phases) {
  const rows = phases.toReversed().map((phase) => [`${timeOfDay(phase.started_at)}–${timeOfDay(phase.ended_at)}`, phaseText(phase), tookText(phase), outcomeText(phase), whoDid(phase.by)]);
  return el("div", { class: "table-scroll", tabindex: 0, role: "group", "aria-label": t("history.phases") }, table([t("history.time"), t("history.phase"), t("history.took"), t("history.outcome"), t("history.by")], rows, t("history.phases")));
}

/** @param {Day[]} days */
function dayTable(days) {
  const rows = days.filter((day) => day.seconds > 0 || day.brokenOff > 0).toReversed().map((day) => [date(day.at, { weekday: "short", day: "numeric", month: "short", year: "numeric" }), String(day.periods), durationText(day.seconds), String(day.brokenOff)]);
  return el("div", { class: "table-scroll", tabindex: 0, role: "group", "aria-label": t("history.table") }, table([t("history.date"), t("history.periods"), t("history.time"), t("history.brokenOff")], rows, t("history.perDay")));
}

customElements.define("lockstep-history", LockstepHistory);
