import assert from "node:assert/strict";
import { test } from "node:test";
import { clockText, elapsedShare, isUntimed, minutesText, parseMinutes, remainingMs, untilNextSecond } from "../../../web/js/countdown.js";

const state = (/** @type {object} */ over = {}) => /** @type {any} */ ({ state: 1, phase: "work", paused: false, started_at: 1000, ends_at: 61_000, remaining_ms: null, phase_duration_ms: 60_000, work_duration: 1500, ...over });

test("the time left comes from ends_at, never below zero", () => {
  assert.equal(remainingMs(state(), 1000), 60_000);
  assert.equal(remainingMs(state(), 60_500), 500);
  assert.equal(remainingMs(state(), 99_000), 0);
});

test("a paused phase is frozen, idle shows the next work time, an alarm nothing", () => {
  assert.equal(remainingMs(state({ paused: true, ends_at: null, remaining_ms: 4200 }), 1e9), 4200);
  assert.equal(remainingMs(state({ phase: "idle", ends_at: null }), 5), 1_500_000);
  assert.equal(remainingMs(state({ phase: "break_alarm", ends_at: null }), 5), 0);
});

test("the share that is over counts an extension in, and is none without a length", () => {
  assert.equal(elapsedShare(state(), 16_000), 0.25);
  assert.equal(elapsedShare(state({ ends_at: 121_000, phase_duration_ms: 120_000 }), 1000), 0);
  assert.equal(elapsedShare(state({ phase: "long_break", ends_at: null, phase_duration_ms: null }), 1), null);
  assert.equal(elapsedShare(state({ phase: "work_alarm", ends_at: null }), 1), null);
  assert.ok(isUntimed(state({ phase: "long_break", ends_at: null })));
});

test("a clock shows zero when it is over and not before", () => {
  assert.equal(clockText(1_500_000), "25:00");
  assert.equal(clockText(1_499_999), "25:00");
  assert.equal(clockText(1_499_000), "24:59");
  assert.equal(clockText(1), "00:01");
  assert.equal(clockText(0), "00:00");
  assert.equal(clockText(3_600_000), "1:00:00");
  assert.equal(clockText(86_400_000), "24:00:00");
});

test("each tick lands where the shown second changes", () => {
  for (const left of [1, 999, 1000, 1001, 59_999, 60_000]) {
    const wait = untilNextSecond(left);
    assert.ok(wait > 0 && wait <= 1001);
    assert.notEqual(clockText(Math.max(0, left - wait)), clockText(left));
  }
});

test("minutes are read as people write them", () => {
  for (const [text, seconds] of /** @type {const} */ ([["25", 1500], [" 25 ", 1500], ["1.5", 90], ["1,5", 90], ["0:45", 45], ["1:30:00", 5400], ["0", 0], ["0.05", 3]])) assert.equal(parseMinutes(text), seconds, text);
  for (const text of ["", "abc", "-5", "1e3", "1:75", "::", "25m", "NaN", "Infinity"]) assert.equal(parseMinutes(text), null, text);
});

test("every number of seconds survives the form", () => {
  for (let seconds = 0; seconds <= 86_400; seconds += 1) assert.equal(parseMinutes(minutesText(seconds)), seconds);
});
