import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft } from "../../../web/js/draft.js";

const HUB = { work_duration: 1500, break_duration: 300, long_break_duration: 0, number_cycles: 3, auto_start: false, press_while_running: "pause" };
const draft = (/** @type {object} */ over = {}) => {
  const d = new Draft();
  d.take({ ...HUB, ...over });
  return d;
};

test("minutes are shown and seconds sent", () => {
  const d = draft({ work_duration: 90 });
  assert.equal(d.text("work_duration"), "1:30");
  d.edit("break_duration", "7");
  assert.deepEqual(d.values, { ...HUB, work_duration: 90, break_duration: 420 });
  assert.deepEqual(d.changes, { break_duration: 420 });
});

test("an edit stays when others change the hub, and says what it is now", () => {
  const d = draft();
  d.edit("work_duration", "30");
  d.take({ ...HUB, work_duration: 600, break_duration: 120 });
  assert.equal(d.text("work_duration"), "30");
  assert.equal(d.changedMeanwhile("work_duration"), "10");
  assert.equal(d.text("break_duration"), "2");
  assert.equal(d.changedMeanwhile("break_duration"), null);
});

test("an edit that equals the hub's value is none", () => {
  const d = draft();
  d.edit("work_duration", "30");
  d.edit("work_duration", "25");
  assert.equal(d.dirty, false);
  d.edit("number_cycles", "5");
  d.take({ ...HUB, number_cycles: 5 });
  assert.equal(d.dirty, false);
});

test("what the hub would not take is named before it is sent", () => {
  for (const [id, text] of [["work_duration", "0"], ["work_duration", "x"], ["work_duration", "1441"], ["number_cycles", "0"], ["number_cycles", "1.5"], ["number_cycles", "101"], ["break_duration", ""]]) {
    const d = draft();
    d.edit(id, text);
    assert.deepEqual(d.wrong, [id], `${id} = ${text}`);
  }
  const d = draft({ long_break_duration: 900 });
  d.edit("long_break_duration", "0");
  assert.deepEqual(d.wrong, []);
});

test("discard goes back to the hub", () => {
  const d = draft();
  d.edit("auto_start", "on");
  d.edit("press_while_running", "ignore");
  assert.deepEqual(d.changes, { auto_start: true, press_while_running: "ignore" });
  d.discard();
  assert.deepEqual([d.dirty, d.text("auto_start"), d.text("press_while_running")], [false, "off", "pause"]);
});

test("what is typed while a save is under way stays, and is nobody else's change", () => {
  for (const [typed, changes] of /** @type {[string, any][]} */ ([["20", { work_duration: 1200 }], ["25", { work_duration: 1500 }]])) {
    const d = draft();
    d.edit("work_duration", "50");
    d.edit("break_duration", "7");
    const edits = d.send();
    d.edit("work_duration", typed); // the second is the hub's own value, until the save is done
    d.take(HUB);
    d.sent(edits, true);
    d.take({ ...HUB, work_duration: 3000, break_duration: 420 });
    assert.deepEqual(d.changes, changes);
    assert.equal(d.changedMeanwhile("work_duration"), null);
    d.sent(d.send(), true);
    assert.equal(d.dirty, false);
  }
});

test("a save that the hub refused leaves what was typed, and nothing that the hub has anyway", () => {
  const d = draft();
  d.edit("work_duration", "50");
  d.edit("break_duration", "7");
  const edits = d.send();
  d.edit("break_duration", "5");
  d.sent(edits, false);
  assert.deepEqual(d.changes, { work_duration: 3000 });
});
