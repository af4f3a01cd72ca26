// @ts-check
/**
 * What finished phases add up to: days, hours of the day, totals. Pure; days are those of the clock on this wall, so a
 * day of 23 hours is one day. Loading and drawing are elsewhere.
 */

/**
 * @typedef {{room: string, thing: string, phase: string, started_at: number, ended_at: number, planned_seconds: number,
 *   actual_seconds: number, outcome: "completed"|"broken_off", by: string}} Phase
 * @typedef {"day"|"week"|"year"} Span
 * @typedef {{at: number, periods: number, seconds: number, brokenOff: number}} Day
 */

export const SPANS = Object.freeze(/** @type {Span[]} */ (["day", "week", "year"]));
const WEEK_DAYS = 7;
/** A year of whole weeks, so that the map has no ragged edge. */
const YEAR_WEEKS = 53;
/** Shades of the map above «nothing». */
const LEVELS = 4;

/** The midnight before `at`, `days` days later. */
export function midnight(/** @type {number} */ at, days = 0) {
  const day = new Date(at);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + days).getTime();
}

/** The Monday of the week of `at`. */
function monday(/** @type {number} */ at) {
  return midnight(at, -((new Date(at).getDay() + 6) % 7));
}

/** From when until before when a span lies that contains `at`; a year is the weeks up to that of `at`. @param {Span} span @param {number} at @returns {[number, number]} */
export function rangeOf(span, at) {
  if (span === "day") return [midnight(at), midnight(at, 1)];
  const begin = monday(at);
  return [span === "week" ? begin : midnight(begin, -WEEK_DAYS * (YEAR_WEEKS - 1)), midnight(begin, WEEK_DAYS)];
}

/** A moment in the span before (-1) or after (1). @param {Span} span @param {number} at @param {number} step */
export function shifted(span, at, step) {
  return midnight(at, step * { day: 1, week: WEEK_DAYS, year: WEEK_DAYS * (YEAR_WEEKS - 1) }[span]);
}

/** Each day of a range, also those on which nothing was done. @param {readonly Phase[]} phases @param {number} from @param {number} until @returns {Day[]} */
export function perDay(phases, from, until) {
  /** @type {Map<number, Day>} */
  const days = new Map();
  for (let at = midnight(from); at < until; at = midnight(at, 1)) days.set(at, { at, periods: 0, seconds: 0, brokenOff: 0 });
  for (const phase of phases) {
    const day = days.get(midnight(phase.ended_at));
    if (!day || phase.phase !== "work") continue;
    day.seconds += phase.actual_seconds;
    if (phase.outcome === "completed") day.periods += 1;
    else day.brokenOff += 1;
  }
  return [...days.values()];
}

/** All of it together. @param {readonly Day[]} days @returns {{periods: number, seconds: number, brokenOff: number, daysWorked: number}} */
export function totals(days) {
  const sum = (/** @type {(day: Day) => number} */ of) => days.reduce((all, day) => all + of(day), 0);
  return { periods: sum((d) => d.periods), seconds: sum((d) => d.seconds), brokenOff: sum((d) => d.brokenOff), daysWorked: days.filter((d) => d.seconds > 0).length };
}

/** Seconds of work in each hour of the day. Where a phase was paused nobody kept; its work is spread over all of it. @param {readonly Phase[]} phases @returns {number[]} */
export function rhythm(phases) {
  const hours = new Array(24).fill(0);
  for (const { phase, started_at, ended_at, actual_seconds } of phases) {
    const span = ended_at - started_at;
    if (phase !== "work" || span <= 0) continue;
    for (let at = started_at; at < ended_at; ) {
      const clock = new Date(at);
      const next = Math.min(ended_at, at + 3_600_000 - ((clock.getMinutes() * 60 + clock.getSeconds()) * 1000 + clock.getMilliseconds()));
      hours[clock.getHours()] += (actual_seconds * (next - at)) / span;
      at = next;
    }
  }
  return hours;
}

/** 0 for nothing, else 1 to 4. @param {number} value @param {number} max */
export function level(value, max) {
  return value <= 0 ? 0 : Math.min(LEVELS, Math.max(1, Math.ceil((LEVELS * value) / max)));
}

/** Where a phase lies within a day: shares of it, 0 to 1. @param {Phase} phase @param {number} from @param {number} until @returns {[number, number]} */
export function placeInDay(phase, from, until) {
  const share = (/** @type {number} */ at) => Math.min(1, Math.max(0, (at - from) / (until - from)));
  return [share(phase.started_at), share(phase.ended_at)];
}

/** A round number that is not below `max`, for the top of an axis. */
export function axisTop(/** @type {number} */ max) {
  return [1, 2, 4, 6, 8, 10, 12, 16, 20, 30, 40, 50, 60, 80, 100, 120].find((top) => top >= max) ?? Math.ceil(max / 100) * 100;
}
