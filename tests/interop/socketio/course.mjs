// The course page's whole story: a round of all six states, the setup, and what its page does not know about.

import { assert, eventually } from "./check.mjs";
import { connect } from "./clients.mjs";

const MESSAGES = ["Press Me!", "Work", "Break time", "Short Break", "Back to work", "Long break time"];

/**
 * @param {import("./hub.mjs").Hub} hub
 * @param {import("./watchers.mjs").Watcher} watcher
 * @param {{version: string, way: string}} kind
 * @param {string} room
 */
export async function course(hub, watcher, kind, room) {
  const [student, other] = await Promise.all([connect(kind, hub.http, room), connect(kind, hub.http, room)]);
  const standard = { work_duration: 1500, break_duration: 300, number_cycles: 3 };
  for (const client of [student, other]) {
    assert.deepEqual(await client.next("json", () => true, 0), { state: 0, message: "Press Me!", ...standard });
  }

  // Save, with a field that the page left empty: NaN becomes null on its way.
  const setup = { work_duration: 1, break_duration: 1, number_cycles: 1 };
  await save(student, [student, other], { work_duration: 1, break_duration: NaN, number_cycles: 1 },
    { ...setup, break_duration: 300 });
  await save(student, [student, other], setup, setup);
  // The same again changes nothing, and is told to all the same.
  await save(student, [student, other], setup, setup);

  for (const absurd of [-5, 0, 1e12, 1.5, "soon", [], {}, true]) {
    const [from, quiet] = [student.seen.length, other.seen.length];
    student.emit("json", { action: "setup", work_duration: absurd, break_duration: 2, number_cycles: 2 });
    const rejected = await student.next("rejected", () => true, from);
    assert.match(rejected.code, /^(out_of_range|malformed)$/);
    await student.next("json", (data) => same(data, { state: 0, message: "Press Me!", ...setup }), from);
    assert.deepEqual(other.seen.slice(quiet), [], "nobody else hears of it");
  }
  for (const nonsense of [null, "press", {}, { action: 7 }, { action: "explode" }]) {
    const from = student.seen.length;
    student.emit("json", nonsense);
    await student.next("rejected", () => true, from);
  }

  // A whole round.
  const from = other.seen.length;
  const told = new Map([student, other].map((client) => [client, client.all("json").length]));
  const press = async (state) => {
    student.emit("json", { action: "press" });
    await reaches(state);
  };
  const reaches = async (state) => {
    const expected = { state, message: MESSAGES[state] };
    for (const [client, before] of told) {
      const next = await eventually(`state ${state}`, () => client.all("json")[before], () => client.seen);
      assert.deepEqual(next, expected);
      told.set(client, before + 1);
    }
    await watcher.until(`${room}/pomodoro/state`, (seen) => seen.state === state);
  };
  await press(1);
  await reaches(2);
  await press(3);
  await reaches(4);
  await press(1);
  await reaches(2);
  await press(5);
  await press(0);
  const states = other.seen.slice(from).filter((one) => one.event === "json").map((one) => one.data);
  assert.deepEqual(states, [1, 2, 3, 4, 1, 2, 5, 0].map((state) => ({ state, message: MESSAGES[state] })));
  const watched = (await watcher.history(`${room}/pomodoro/state`)).map((state) => state.state);
  assert.deepEqual(watched.filter((state, n) => state !== watched[n - 1]).slice(-9), [0, 1, 2, 3, 4, 1, 2, 5, 0]);

  await neverPauses(student, watcher, room);
  student.close();
  other.close();
}

/** A press from a page that shows no pause never pauses, and resumes what others paused. */
async function neverPauses(student, watcher, room) {
  const state = () => watcher.state(`${room}/pomodoro/state`);
  await watcher.command(`${room}/pomodoro`, { action: "setup", work_duration: 600 });
  student.emit("json", { action: "press" });
  await watcher.until(`${room}/pomodoro/state`, (seen) => seen.state === 1);
  // Past the guard that keeps a second press from pausing.
  await eventually("a second of work", () => Date.now() - state().started_at > 1200);
  const { rev } = state();
  const from = student.seen.length;
  student.emit("json", { action: "press" });
  const rejected = await student.next("rejected", () => true, from);
  assert.equal(rejected.code, "already_started");
  assert.deepEqual([state().rev, state().paused], [rev, false]);

  await watcher.command(`${room}/pomodoro`, "pause");
  await watcher.until(`${room}/pomodoro/state`, (seen) => seen.paused);
  student.emit("json", { action: "press" });
  await watcher.until(`${room}/pomodoro/state`, (seen) => seen.state === 1 && !seen.paused);
  assert.deepEqual(student.seen.slice(from).filter((one) => one.event === "json"), [], "its page shows no pause");
}

/** Saves a setup, which everybody is told once. */
async function save(student, everybody, setup, expected) {
  const from = everybody.map((client) => client.seen.length);
  student.emit("json", { action: "setup", ...setup });
  const message = { state: 0, message: "Press Me!", ...expected };
  for (const [n, client] of everybody.entries()) await client.next("json", (data) => same(data, message), from[n]);
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
