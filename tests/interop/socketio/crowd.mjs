// Many clients on one running timer: no drift, no growth, and connections that nobody uses stay open.

import { assert, eventually, pause } from "./check.mjs";
import { ALL, connect } from "./clients.mjs";

const CLIENTS = 200;
const IDLE_CLIENTS = 18;
/** How many connect at a time. */
const CONNECTING_MAX = 20;
/** Until buffers that are made on first use and kept are there. */
const WARM_UP_SECONDS = 15;
const GROWTH_MAX = 0.05;
/** How late a second may come on a busy machine, and how much earlier than due (rounding of the wall clock). */
const LATE_MS_MAX = 900;
const EARLY_MS_MAX = 50;

/**
 * @param {import("./hub.mjs").Hub} hub
 * @param {import("./watchers.mjs").Watcher} watcher
 * @param {{busy: string, idle: string}} rooms
 * @param {number} seconds
 */
export async function crowd(hub, watcher, rooms, seconds) {
  await watcher.command(`${rooms.busy}/pomodoro`, { action: "setup", work_duration: 3600 });
  const idle = await gather(hub, rooms.idle, IDLE_CLIENTS);
  const clients = await gather(hub, rooms.busy, CLIENTS);
  await watcher.command(`${rooms.busy}/pomodoro`, "start");
  await watcher.until(`${rooms.busy}/pomodoro/state`, (state) => state.state === 1);
  const endsAt = watcher.state(`${rooms.busy}/pomodoro/state`).ends_at;
  await pause(WARM_UP_SECONDS * 1000);
  const from = clients.map((client) => client.seen.length);
  const memory = await measured(hub, seconds);

  let [latest, earliest, missed] = [-Infinity, Infinity, 0];
  const firstHalf = [];
  const secondHalf = [];
  for (const [n, client] of clients.entries()) {
    assert.deepEqual(client.disconnects, [], `client ${n} stays`);
    const ticks = client.seen.slice(from[n]).filter((one) => one.event === "timer");
    const shown = ticks.map((tick) => secondsOf(tick.data.data));
    assert.equal(new Set(shown).size, shown.length, "no second twice");
    missed = Math.max(missed, seconds - shown.length);
    for (const [k, tick] of ticks.entries()) {
      // The number R is due when R seconds are left.
      const late = tick.at - (endsAt - shown[k] * 1000);
      latest = Math.max(latest, late);
      earliest = Math.min(earliest, late);
      (k < ticks.length / 2 ? firstHalf : secondHalf).push(late);
    }
  }
  const drift = median(secondHalf) - median(firstHalf);
  const figures = `${CLIENTS} clients, ${seconds} s: seconds came ${earliest} to ${latest} ms after they were due, `
    + `drift ${drift.toFixed(1)} ms, at most ${missed} missed, memory by quarters ${memory.join(", ")} KiB`;
  assert.ok(latest <= LATE_MS_MAX && earliest >= -EARLY_MS_MAX, figures);
  assert.ok(Math.abs(drift) < 100, figures);
  assert.ok(missed <= 2, figures);
  // What grows for as long as the clients stay would show between the second quarter and the last.
  assert.ok(memory[3] <= memory[1] * (1 + GROWTH_MAX), figures);

  for (const client of idle) {
    assert.deepEqual(client.disconnects, [], "a quiet connection stays");
    assert.deepEqual(client.all("timer").length, 1, "a timer that stands still says nothing");
  }
  // They are not merely thought to be there.
  await watcher.command(`${rooms.idle}/slider1`, "5");
  for (const client of idle) await client.next("update value", (data) => data.data === "5", 0);
  for (const client of [...clients, ...idle]) client.close();
  return figures;
}

async function gather(hub, room, count) {
  const clients = [];
  while (clients.length < count) {
    const more = Math.min(CONNECTING_MAX, count - clients.length);
    const kinds = Array.from({ length: more }, (_, n) => ALL[(clients.length + n) % ALL.length]);
    clients.push(...(await Promise.all(kinds.map((kind) => connect(kind, hub.http, room)))));
  }
  for (const client of clients) await eventually("the first time", () => client.last("timer"));
  return clients;
}

/**
 * The hub's memory over `seconds`, in KiB: the medians of each quarter.
 * @param {import("./hub.mjs").Hub} hub
 * @param {number} seconds
 */
async function measured(hub, seconds) {
  const samples = [];
  for (let n = 0; n < seconds; n += 1) {
    samples.push(hub.memoryKib());
    await pause(1000);
  }
  const quarter = samples.length / 4;
  return [0, 1, 2, 3].map((n) => median(samples.slice(n * quarter, (n + 1) * quarter)));
}

/** @param {string} time as `HH:MM:SS` */
function secondsOf(time) {
  const [hours, minutes, seconds] = time.split(":").map(Number);
  return hours * 3600 + minutes * 60 + seconds;
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}
