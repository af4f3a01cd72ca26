// The timer demo's whole story, at one client that asks and one that looks on.

import { assert, eventually, pause } from "./check.mjs";
import { connect } from "./clients.mjs";

const WORK_SECONDS = 4;

/**
 * @param {import("./hub.mjs").Hub} hub
 * @param {import("./watchers.mjs").Watcher} watcher
 * @param {{version: string, way: string}} kind
 * @param {string} room
 */
export async function timer(hub, watcher, kind, room) {
  await watcher.command(`${room}/pomodoro`, { action: "setup", work_duration: WORK_SECONDS });
  const [asker, other] = await Promise.all([connect(kind, hub.http, room), connect(kind, hub.http, room)]);
  for (const client of [asker, other]) {
    const first = await client.next("timer", () => true, 0);
    assert.deepEqual(first, shows(WORK_SECONDS), "the time on connect");
  }

  asker.emit("start", "please start the timer");
  for (const client of [asker, other]) await client.next("timer", (data) => same(data, shows(WORK_SECONDS - 1)), 0);
  await watcher.until(`${room}/pomodoro/state`, (state) => state.state === 1 && !state.paused);

  asker.emit("start", "please start the timer");
  const refused = { success: false, data: null, error: "Timer already started" };
  await asker.next("timer", (data) => same(data, refused), 0);

  let from = other.seen.length;
  asker.emit("stop", "please stop the timer");
  const stopped = await other.next("timer", (data) => data.success, from);
  await watcher.until(`${room}/pomodoro/state`, (state) => state.paused);
  const left = watcher.state(`${room}/pomodoro/state`).remaining_ms;
  await eventually("the time that is left", () => same(other.last("timer"), shows(Math.ceil(left / 1000))),
    () => [stopped, other.last("timer"), left]);

  from = other.seen.length;
  asker.emit("stop", "please stop the timer");
  await asker.next("timer", (data) => same(data, { success: false, data: null, error: "Timer already stopped" }), 0);
  // Longer than a tick: nothing may come while it stands still, and no error for somebody else's button.
  await pause(1300);
  assert.deepEqual(other.seen.slice(from).filter((one) => one.event === "timer"), [], "a stopped timer is silent");

  asker.emit("start", "please start the timer");
  for (const client of [asker, other]) await client.next("timer", (data) => same(data, shows(0)), 0);
  await watcher.until(`${room}/pomodoro/state`, (state) => state.state === 2);
  // Longer than a tick: the last one is the last one.
  await pause(1300);
  for (const client of [asker, other]) {
    const times = client.all("timer").filter((data) => data.success).map((data) => data.data);
    assert.equal(times.at(-1), "00:00:00");
    assert.equal(times.filter((time) => time === "00:00:00").length, 1, `once: ${times}`);
    for (let seconds = 0; seconds <= WORK_SECONDS; seconds += 1) {
      assert.ok(times.includes(shows(seconds).data), `${shows(seconds).data} among ${times}`);
    }
    assert.deepEqual([...times].sort().reverse(), times, "never backwards");
  }
  assert.deepEqual(other.all("timer").filter((data) => !data.success), [], "errors go to the asker alone");

  const states = (await watcher.history(`${room}/pomodoro/state`)).map((state) => [state.state, state.paused]);
  assert.deepEqual(withoutRepeats(states), [[0, false], [1, false], [1, true], [1, false], [2, false]]);
  asker.close();
  other.close();
}

/** @param {number} seconds */
function shows(seconds) {
  return { success: true, data: `00:00:${String(seconds).padStart(2, "0")}`, error: null };
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function withoutRepeats(values) {
  return values.filter((value, n) => n === 0 || !same(values[n - 1], value));
}
