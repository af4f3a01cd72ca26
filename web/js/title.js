// @ts-check
/**
 * What follows each phase that is drawn, wherever on the page: the tab's title, and whatever calls for attention once that is
 * loaded. Imported before the elements, which tell of a phase as soon as they are there.
 */
import { store } from "./page.js";

/** How long the rest of the page waits for the room's first state, which it would slow down. */
const REST_WAITS_MAX_MS = 700;

/** @typedef {typeof import("./attention.js")["attend"]} Attend */
/** @type {{state: any, message: string}|null} */
let latest = null;
/** @type {Attend|null} */
let attend = null;

/** Resolves behind the paint of the room's first state, or when it takes too long. */
export const painted = new Promise((resolve) => {
  addEventListener("phase", () => requestAnimationFrame(() => setTimeout(resolve)), { once: true });
  setTimeout(resolve, REST_WAITS_MAX_MS);
});

addEventListener("phase", (event) => {
  const { state, message, time } = (latest = /** @type {CustomEvent} */ (event).detail);
  const timed = state.phase === "idle" || state.phase.endsWith("_alarm") ? message : `${time} · ${message}`;
  const title = `${state.paused ? "⏸ " : ""}${timed} – ${store.room?.name ?? "Lockstep"}`;
  if (document.title !== title) document.title = title;
  attend?.(state, message, store.live);
});

/** Calls for attention from now on, for the phase that is already there too. @param {Attend} call */
export function attendWith(call) {
  attend = call;
  if (latest) attend(latest.state, latest.message, store.live);
}
