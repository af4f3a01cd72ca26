import assert from "node:assert/strict";
import { test } from "node:test";
import { Throttle } from "../../../web/js/throttle.js";

/** A clock that moves when told to: time comes in as data. */
function hand() {
  let now = 1000;
  /** @type {{at: number, run: () => void}[]} */
  let due = [];
  return {
    now: () => now,
    set: (/** @type {() => void} */ run, /** @type {number} */ ms) => {
      const timer = { at: now + ms, run };
      due.push(timer);
      return timer;
    },
    clear: (/** @type {any} */ timer) => void (due = due.filter((d) => d !== timer)),
    to(/** @type {number} */ at) {
      for (let next; (next = due.filter((d) => d.at <= at).sort((a, b) => a.at - b.at)[0]); ) {
        now = next.at;
        due = due.filter((d) => d !== next);
        next.run();
      }
      now = at;
    },
  };
}

test("the first value goes at once, then one each interval, and always the last", () => {
  const clock = hand();
  /** @type {[number, number][]} */
  const sent = [];
  const throttle = new Throttle((value) => sent.push([clock.now(), value]), () => 50, clock);
  for (let i = 0; i <= 120; i++) {
    clock.to(1000 + i);
    throttle.push(i);
  }
  clock.to(2000);
  assert.deepEqual(sent, [[1000, 0], [1050, 49], [1100, 99], [1150, 120]]);
  assert.equal(throttle.waiting, false);
});

test("a changed interval counts from the next value on", () => {
  const clock = hand();
  let interval = 50;
  /** @type {number[]} */
  const at = [];
  const throttle = new Throttle(() => at.push(clock.now()), () => interval, clock);
  throttle.push(1);
  interval = 200;
  throttle.push(2);
  clock.to(3000);
  assert.deepEqual(at, [1000, 1200]);
});

test("what is cancelled is never sent", () => {
  const clock = hand();
  /** @type {number[]} */
  const sent = [];
  const throttle = new Throttle((value) => sent.push(value), () => 50, clock);
  throttle.push(1);
  throttle.push(2);
  assert.equal(throttle.waiting, true);
  throttle.cancel();
  clock.to(5000);
  assert.deepEqual(sent, [1]);
});
