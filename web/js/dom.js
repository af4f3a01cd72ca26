// @ts-check
/** Building elements without markup strings: data becomes text or an attribute, never HTML. */

/**
 * @template {keyof HTMLElementTagNameMap | `lockstep-${string}`} T
 * @param {T} tag @param {Record<string, any>} [with_] attributes; `on…` listens, `text` is the text @param {...(Node|string)} children
 * @returns {T extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[T] : HTMLElement}
 */
export function el(tag, with_ = {}, ...children) {
  return /** @type {any} */ (furnish(document.createElement(tag), with_, children));
}

/** @param {string} tag @param {Record<string, any>} [with_] @param {...Node} children @returns {any} */
export function svg(tag, with_ = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), with_, children);
}

/** @param {Element} element @param {Record<string, any>} with_ @param {(Node|string)[]} children */
function furnish(element, with_, children) {
  for (const [name, value] of Object.entries(with_)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Changes a text only when it differs: a screen reader and a selection notice the difference. */
export function setText(/** @type {Element} */ element, /** @type {string} */ text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Likewise for an attribute; null removes it. */
export function setAttr(/** @type {Element} */ element, /** @type {string} */ name, /** @type {string|null} */ value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Hides an element; a focus that is in it goes to `next`, not back to the start of the page. @param {HTMLElement} element @param {HTMLElement|null} [next] */
export function hide(element, next = document.getElementById("main")) {
  const focused = element.contains(document.activeElement);
  element.hidden = true;
  if (focused) next?.focus({ preventScroll: true });
}

/** Drawn on a 24 × 24 grid with round strokes. @type {Record<string, string>} */
const PATHS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M9 6v12M15 6v12",
  skip: "M6 6l8 6-8 6zM18 6v12",
  reset: "M5 12a7 7 0 1 0 2.2-5.1M5 4v4h4",
  plus: "M12 6v12M6 12h12",
  close: "M7 7l10 10M17 7L7 17",
  warn: "M12 4.5l8.5 15h-17zM12 10v4.5M12 17.2v.1",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  system: "M4 5.5h16v10H4zM9 19.5h6M12 15.5v4",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8v4.4M9 14.8v4.4",
  bell: "M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5H5zM10.5 20.5h3",
  mute: "M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5l1.5 1.5H5zM10.5 20.5h3M4 4l16 16",
  wall: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  list: "M5 6.5h14M8 12h11M11 17.5h8",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  chart: "M5 19V11M12 19V5M19 19v-5",
  home: "M4.5 11L12 4.5l7.5 6.5M6.5 9.5V19h11V9.5",
  trash: "M5 7h14M9.5 7V5h5v2M7 7l1 12.5h8L17 7",
  share: "M4.5 4.5h6v6h-6zM13.5 4.5h6v6h-6zM4.5 13.5h6v6h-6zM14 14h2v2h-2zM18 18h1.5v1.5H18zM18 14h1.5",
};

/** A decorative icon. */
export function icon(/** @type {string} */ name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}
