// The slider demo's whole story, and the drag that must not lose its last value.

import { assert, eventually, pause } from "./check.mjs";
import { connect } from "./clients.mjs";

/**
 * @param {import("./hub.mjs").Hub} hub
 * @param {import("./watchers.mjs").Watcher} watcher
 * @param {{version: string, way: string}} kind
 * @param {string} room
 */
export async function sliders(hub, watcher, kind, room) {
  await watcher.command(`${room}/slider2`, "7");
  const [mover, other] = await Promise.all([connect(kind, hub.http, room), connect(kind, hub.http, room)]);
  for (const client of [mover, other]) {
    assert.equal(typeof (await client.next("after connect", () => true, 0)).data, "string");
    await client.next("update value", (data) => same(data, { who: "slider1", data: "0" }), 0);
    await client.next("update value", (data) => same(data, { who: "slider2", data: "7" }), 0);
  }

  mover.emit("Slider value changed", { who: "slider1", data: "37" });
  for (const client of [mover, other]) {
    await client.next("update value", (data) => same(data, { who: "slider1", data: "37" }), 0);
  }
  await watcher.until(`${room}/slider1/state`, (state) => state.value === 37);

  await watcher.command(`${room}/slider1`, { value: 12 });
  for (const client of [mover, other]) {
    await client.next("update value", (data) => same(data, { who: "slider1", data: "12" }), 0);
  }

  const from = other.seen.length;
  const bad = [
    [{ who: "slider9", data: "1" }, "unknown_thing"],
    [{ who: "pomodoro", data: "1" }, "unknown_thing"],
    [{ who: "__proto__", data: "1" }, "unknown_thing"],
    [{ who: "#slider1, body", data: "1" }, "unknown_thing"],
    [{ who: "slider1", data: "101" }, "out_of_range"],
    [{ who: "slider1", data: "-1" }, "out_of_range"],
    [{ who: "slider1", data: "much" }, "malformed"],
    [{ who: "slider1", data: "" }, "malformed"],
    [{ who: "slider1", data: null }, "malformed"],
    [{ who: "slider1" }, "malformed"],
    ["slider1", "malformed"],
    [null, "malformed"],
  ];
  for (const [event, code] of bad) {
    const at = mover.seen.length;
    mover.emit("Slider value changed", event);
    const rejected = await mover.next("rejected", () => true, at);
    assert.equal(rejected.code, code, JSON.stringify([event, rejected]));
    assert.equal(rejected.event, "Slider value changed");
    assert.ok(rejected.message.length > 0);
  }
  // A page that shows what was rejected is told the truth.
  const corrected = mover.seen.length;
  mover.emit("Slider value changed", { who: "slider1", data: "500" });
  await mover.next("update value", (data) => same(data, { who: "slider1", data: "12" }), corrected);
  assert.equal(watcher.state(`${room}/slider1/state`).value, 12, "nothing of it is stored");
  assert.deepEqual(other.seen.slice(from), [], "and nobody else hears of it");

  const late = await connect(kind, hub.http, room);
  await late.next("update value", (data) => same(data, { who: "slider1", data: "12" }), 0);
  assert.deepEqual(
    (await watcher.history(`${room}/slider1/state`)).map((state) => state.value).filter((value, n, all) => value !== all[n - 1]),
    [0, 37, 12],
  );
  for (const client of [mover, other, late]) client.close();
}

const DRAG_EVENTS = 300;
const DRAG_EVENT_EVERY_MS = 10;

/** A slider dragged at 100 events a second over polling: everybody ends at its last value. */
export async function drag(hub, watcher, kind, room) {
  const [mover, other] = await Promise.all([connect(kind, hub.http, room), connect(kind, hub.http, room)]);
  const began = performance.now();
  let last = 0;
  for (let n = 0; n < DRAG_EVENTS; n += 1) {
    last = n % 90;
    mover.emit("Slider value changed", { who: "slider1", data: String(last) });
    await pause(Math.max(0, began + (n + 1) * DRAG_EVENT_EVERY_MS - performance.now()));
  }
  const perSecond = (DRAG_EVENTS * 1000) / (performance.now() - began);
  assert.ok(perSecond > 90, `${perSecond} events a second`);
  const final = { who: "slider1", data: String(last) };
  await watcher.until(`${room}/slider1/state`, (state) => state.value === last);
  for (const client of [mover, other]) {
    await eventually("the last value", () => same(client.last("update value"), final), () => client.last("update value"));
    assert.deepEqual(client.all("rejected"), []);
  }
  await watcher.history(`${room}/slider1/state`);
  const seen = other.all("update value").length;
  mover.close();
  other.close();
  return `${perSecond.toFixed(0)} events/s, ${seen} of ${DRAG_EVENTS} shown, last ${last}`;
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
