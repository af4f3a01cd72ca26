// @ts-check
/**
 * What a Pomodoro's state says at a moment: time left, share done, the words for a clock. Pure; `now` is the hub's
 * clock in Unix milliseconds and comes in as data. Drawing and ticking are elsewhere.
 */

/**
 * @typedef {{state: number, phase: string, message: string, paused: boolean, started_at: number|null, ends_at: number|null,
 *   remaining_ms: number|null, phase_duration_ms: number|null, work_duration: number, break_duration: number,
 *   long_break_duration: number, number_cycles: number, auto_start: boolean, press_while_running: string, cycle: number,
 *   rev: number, by: string, sent_at: number}} Pomodoro
 */

/** The phases in which a timer can run. */
export const TIMED = Object.freeze(["work", "short_break", "long_break"]);
/** The phases that wait for somebody. */
export const ALARMS = Object.freeze(["break_alarm", "work_alarm"]);

/** Whether time passes right now. @param {Pomodoro} state */
export function isRunning(state) {
  return state.ends_at !== null && !state.paused;
}

/** A long break without an end. @param {Pomodoro} state */
export function isUntimed(state) {
  return state.phase === "long_break" && state.ends_at === null && !state.paused;
}

/** Milliseconds left; idle shows what the next press would start. @param {Pomodoro} state @param {number} now */
export function remainingMs(state, now) {
  if (isRunning(state)) return Math.max(0, /** @type {number} */ (state.ends_at) - now);
  if (state.paused) return state.remaining_ms ?? 0;
  return state.phase === "idle" ? state.work_duration * 1000 : 0;
}

/** The share of the phase that is over, 0 to 1; null where there is no planned length. @param {Pomodoro} state @param {number} now */
export function elapsedShare(state, now) {
  const planned = state.phase_duration_ms;
  if (!planned || !TIMED.includes(state.phase) || isUntimed(state)) return null;
  return Math.min(1, Math.max(0, 1 - remainingMs(state, now) / planned));
}

/** Milliseconds since the phase began (an alarm: since it rings); null when unknown. @param {Pomodoro} state @param {number} now */
export function waitingMs(state, now) {
  return state.started_at === null ? null : Math.max(0, now - state.started_at);
}

/** `24:59`, or `1:00:00` from an hour on; rounded up, so that zero is shown when it is over and not before. */
export function clockText(/** @type {number} */ ms) {
  const total = Math.ceil(Math.max(0, ms) / 1000 - 1e-6);
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${two(minutes)}:${two(seconds)}`;
}

/** Milliseconds until `clockText` of a falling time changes next; never 0, so that a loop over it ends. */
export function untilNextSecond(/** @type {number} */ ms) {
  return (ms % 1000 || 1000) + 1;
}

/** Seconds that a person typed as minutes (`25`, `1.5`, `1,5`) or as `m:ss` / `h:mm:ss`; null if neither. @returns {number|null} */
export function parseMinutes(/** @type {string} */ text) {
  const clean = text.trim().replace(",", ".");
  if (/^\d+(\.\d+)?$/.test(clean)) return Math.round(Number(clean) * 60);
  if (!/^\d+(:[0-5]?\d){1,2}$/.test(clean)) return null;
  return clean.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}

/** The way back: whole minutes as a number, all else as `m:ss`, so that every second count survives the round trip. */
export function minutesText(/** @type {number} */ seconds) {
  return seconds % 60 === 0 ? String(seconds / 60) : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
