import assert from "node:assert/strict";
import { test } from "node:test";
import { Handle } from "../../../web/js/handle.js";

const at = (/** @type {number} */ value, seq = 1) => {
  const handle = new Handle();
  handle.took(value, seq);
  return handle;
};

test("a held handle never jumps, whatever others do", () => {
  const handle = at(10);
  handle.hold(true);
  handle.move(40);
  handle.sent();
  for (let seq = 2; seq < 50; seq++) {
    handle.took(seq, seq);
    assert.equal(handle.shown, 40);
  }
  handle.accepted(60);
  assert.equal(handle.shown, 40);
  assert.equal(handle.pending, true);
});

test("after the release it waits for the state that follows the acknowledgement", () => {
  const handle = at(10);
  handle.move(40);
  handle.sent();
  handle.accepted(5);
  assert.equal(handle.shown, 40, "no flicker back to 10 between the ack and the state");
  handle.took(40, 6);
  assert.equal(handle.pending, false);
  handle.took(70, 9);
  assert.equal(handle.shown, 70);
});

test("a state that came before its acknowledgement settles it as well", () => {
  const handle = at(10);
  handle.move(40);
  handle.sent();
  handle.took(40, 6);
  assert.equal(handle.pending, false);
  handle.accepted(5);
  assert.equal(handle.wish, null);
});

test("a hub that clamps wins", () => {
  const handle = at(10);
  handle.move(44);
  handle.sent();
  handle.accepted(5);
  handle.took(45, 6);
  assert.equal(handle.shown, 45);
});

test("a refusal brings the hub's value back, but not under a hand", () => {
  const handle = at(10);
  handle.move(40);
  handle.sent();
  handle.refused();
  assert.equal(handle.shown, 10);
  handle.hold(true);
  handle.move(50);
  handle.sent();
  handle.refused();
  assert.equal(handle.shown, 50);
  handle.hold(false);
  assert.equal(handle.shown, 10);
});

test("an early refusal does not undo a later wish that is still under way", () => {
  const handle = at(10);
  handle.move(40);
  handle.sent();
  handle.move(50);
  handle.sent();
  handle.refused();
  assert.equal(handle.shown, 50);
  handle.accepted(8);
  handle.took(50, 9);
  assert.equal(handle.shown, 50);
  assert.equal(handle.pending, false);
});

test("what waits in the throttle is not undone by the answer to what went before", () => {
  const handle = at(0);
  handle.move(1);
  handle.sent();
  handle.move(2); // a second arrow key within the interval
  handle.took(1, 5);
  handle.accepted(5);
  assert.equal(handle.shown, 2);
  assert.equal(handle.awaitsState, false);
  handle.sent();
  handle.took(2, 7);
  handle.accepted(7);
  assert.equal(handle.shown, 2);
  assert.equal(handle.pending, false);
});
