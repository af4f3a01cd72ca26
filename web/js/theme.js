// @ts-check
/** Light, dark or as the system: remembered per browser, applied through `color-scheme` on the root element. */

const KEY = "lockstep.theme";
export const THEMES = Object.freeze(/** @type {const} */ (["light", "system", "dark"]));
/** @typedef {typeof THEMES[number]} Theme */

/** @returns {Theme} */
export function theme() {
  const known = THEMES.find((name) => name === remembered(KEY));
  return known ?? "system";
}

/** @param {Theme} name */
export function setTheme(name) {
  remember(KEY, name);
  document.documentElement.dataset.theme = name;
}

/** What this browser remembers; null also where storage is forbidden. */
export function remembered(/** @type {string} */ key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(/** @type {string} */ key, /** @type {string} */ value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that remembers nothing still shows everything.
  }
}
