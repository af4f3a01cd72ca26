import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "Europe/Berlin"; // before the first Date: it has days of 23 and 25 hours
const { axisTop, level, midnight, perDay, placeInDay, rangeOf, rhythm, shifted, totals } = await import("../../../web/js/past.js");

const at = (/** @type {string} */ text) => new Date(text).getTime();
/** @param {string} started @param {string} ended @param {Partial<import("../../../web/js/past.js").Phase>} [more] @returns {any} */
const phase = (started, ended, more = {}) => ({ room: "main", thing: "pomodoro", phase: "work", started_at: at(started), ended_at: at(ended), planned_seconds: 1500, actual_seconds: (at(ended) - at(started)) / 1000, outcome: "completed", by: "hub", ...more });

test("a week begins on Monday, also where a day has 25 hours", () => {
  const [from, until] = rangeOf("week", at("2026-10-25T12:00")); // a Sunday; clocks go back that night
  assert.equal(from, at("2026-10-19T00:00"));
  assert.equal(until, at("2026-10-26T00:00"));
  assert.equal(until - from, (7 * 24 + 1) * 3_600_000);
  assert.equal(perDay([], from, until).length, 7);
});

test("a year is 53 whole weeks that end with this one", () => {
  const [from, until] = rangeOf("year", at("2026-11-21T10:00"));
  const days = perDay([], from, until);
  assert.equal(days.length, 371);
  assert.equal(new Date(days[0].at).getDay(), 1);
  assert.equal(until, at("2026-11-23T00:00"));
});

test("going back and forth by a span arrives where it began", () => {
  for (const span of /** @type {const} */ (["day", "week", "year"])) {
    const now = midnight(at("2026-03-29T15:00"));
    assert.equal(shifted(span, shifted(span, now, -1), 1), now, span);
    assert.equal(rangeOf(span, shifted(span, now, -1))[1] <= rangeOf(span, now)[1], true);
  }
});

test("a day counts completed work, all seconds of work, and what was broken off", () => {
  const phases = [
    phase("2026-11-20T09:00", "2026-11-20T09:25"),
    phase("2026-11-20T09:25", "2026-11-20T09:30", { phase: "short_break" }),
    phase("2026-11-20T09:30", "2026-11-20T09:40", { outcome: "broken_off", by: "web:anna" }),
    phase("2026-11-20T23:50", "2026-11-21T00:15"), // over midnight: on the day on which it was done
  ];
  const days = perDay(phases, at("2026-11-20T00:00"), at("2026-11-22T00:00"));
  assert.deepEqual(days.map(({ periods, seconds, brokenOff }) => [periods, seconds, brokenOff]), [[1, 2100, 1], [1, 1500, 0]]);
  assert.deepEqual(totals(days), { periods: 2, seconds: 3600, brokenOff: 1, daysWorked: 2 });
});

test("the rhythm spreads a phase over the hours it touched, and loses no second", () => {
  const hours = rhythm([phase("2026-11-20T09:50", "2026-11-20T10:15"), phase("2026-11-20T23:55", "2026-11-21T00:05", { actual_seconds: 300 }), phase("2026-11-20T12:00", "2026-11-20T12:05", { phase: "short_break" })]);
  assert.equal(Math.round(hours[9]), 600);
  assert.equal(Math.round(hours[10]), 900);
  assert.equal(Math.round(hours[23]), 150);
  assert.equal(Math.round(hours[0]), 150);
  assert.equal(hours[12], 0);
  assert.equal(Math.round(hours.reduce((a, b) => a + b)), 1800);
  assert.deepEqual(rhythm([phase("2026-11-20T09:00", "2026-11-20T09:00")]), new Array(24).fill(0));
});

test("shades, axes and places stay within their bounds", () => {
  assert.deepEqual([0, 1, 3, 5, 8, 9].map((n) => level(n, 8)), [0, 1, 2, 3, 4, 4]);
  assert.equal(level(0, 0), 0);
  assert.deepEqual([0, 1, 3, 7, 61, 121, 1234].map(axisTop), [1, 1, 4, 8, 80, 200, 1300]);
  const [from, until] = rangeOf("day", at("2026-11-20T09:00"));
  assert.deepEqual(placeInDay(phase("2026-11-20T06:00", "2026-11-20T12:00"), from, until), [0.25, 0.5]);
  assert.deepEqual(placeInDay(phase("2026-11-19T06:00", "2026-11-20T12:00"), from, until), [0, 0.5]);
});
