// @ts-check
/**
 * The page's words. A language is one file in strings/ with the keys of en.js; adding one is that file and a line in
 * `LANGUAGES`. Numbers and times follow the browser.
 */
import en from "./strings/en.js";
import { remembered } from "./theme.js";

/** @typedef {keyof typeof en} Key */

export const LANGUAGES = Object.freeze({ en: "English", de: "Deutsch" });

/** The first wanted language that there is a file for. @param {readonly string[]} wanted */
export function choose(wanted) {
  return wanted.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in LANGUAGES) ?? "en";
}

export const language = choose([remembered("lockstep.language") ?? "", ...(globalThis.navigator?.languages ?? [])]);

/** Whoever imports this module waits for the words; a page in English is better than none. @type {Readonly<Record<string, string>>} */
const strings = language === "en" ? en : await import(`./strings/${language}.js`).then((file) => file.default, () => en);

/** Puts the words into the markup that came with the page. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(/** @type {Key} */ (element.getAttribute("data-text")));
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(/** @type {Key} */ (element.getAttribute("data-label"))));
}

/** The text of a key with its {places} filled. @param {Key} key @param {Record<string, string|number>} [places] */
export function t(key, places = {}) {
  return strings[key].replace(/\{(\w+)\}/g, (whole, name) => String(places[name] ?? whole));
}

/** The text of a key put together at run time; undefined if there is none. */
export function tMaybe(/** @type {string} */ key) {
  return strings[key];
}

/** A number as it is written in the page's language. */
export function numberText(/** @type {number} */ number) {
  return number.toLocaleString(language, { maximumFractionDigits: 20 });
}

/** `14:35`, as people write it here; with seconds on wish. */
export function timeOfDay(/** @type {number} */ ms, seconds = false) {
  return new Date(ms).toLocaleTimeString(language === "de" ? "de" : undefined, { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
}

/** `2 minutes ago`. */
export function ago(/** @type {number} */ ms) {
  const seconds = Math.floor(ms / 1000);
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "narrow" });
  if (seconds < 5) return t("when.now");
  if (seconds < 60) return relative.format(-Math.floor(seconds / 5) * 5, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86_400), "day");
}
