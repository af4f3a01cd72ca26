// @ts-check
/**
 * What follows the timers that are drawn, wherever on the page: the tab's title, and whatever calls for attention once that is
 * loaded. Imported before the elements, which tell of a phase as soon as they are there. How attention is called for does not belong here.
 */
import { ALARMS } from "./countdown.js";
import { store } from "./page.js";

/** How long the rest of the page waits for the room's first state, which it would slow down. */
const REST_WAITS_MAX_MS = 700;

/** @typedef {{state: import("./countdown.js").Pomodoro, message: string, time: string}} Shown */
/** @typedef {typeof import("./attention.js")["attend"]} Attend */
/** What each timer of the room shows, by its thing. @type {Map<string, Shown>} */
const timers = new Map();
/** @type {Attend|null} */
let attend = null;

/** Resolves behind the paint of the room's first state, or when it takes too long. */
export const painted = new Promise((resolve) => {
  addEventListener("phase", () => requestAnimationFrame(() => setTimeout(resolve)), { once: true });
  setTimeout(resolve, REST_WAITS_MAX_MS);
});

/** A timer was drawn. @param {string} thing @param {Shown} shown */
export function tell(thing, shown) {
  timers.set(thing, shown);
  dispatchEvent(new Event("phase"));
}

/** A timer is no longer there, or nobody knows its state. @param {string} thing */
export function tellGone(thing) {
  if (timers.delete(thing)) follow();
}

/** The timer that the tab speaks of: one that rings, or one that runs, or the first. */
function foremost() {
  const all = [...timers.values()];
  return all.find(({ state }) => ALARMS.includes(state.phase)) ?? all.find(({ state }) => state.phase !== "idle") ?? all[0] ?? null;
}

function follow() {
  const shown = foremost();
  const room = store.room?.name ?? "Lockstep";
  const title = shown ? `${shown.state.paused ? "⏸ " : ""}${timed(shown)} – ${room}` : room;
  if (document.title !== title) document.title = title;
  attend?.(timers, shown?.state ?? null, store.live);
}
addEventListener("phase", follow);
store.watch(follow); // the room has a name, and may get another

/** @param {Shown} shown */
function timed({ state, message, time }) {
  return state.phase === "idle" || ALARMS.includes(state.phase) ? message : `${time} · ${message}`;
}

/** Calls for attention from now on, for what is already shown too. @param {Attend} call */
export function attendWith(call) {
  attend = call;
  follow();
}
