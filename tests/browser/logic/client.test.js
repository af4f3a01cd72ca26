import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, HubClock, matches, Values } from "../../../web/js/client.js";

test("filters match as in MQTT", () => {
  for (const [filter, topic, want] of /** @type {const} */ ([
    ["a/b", "a/b", true], ["a/b", "a/b/c", false], ["a/+", "a/b", true], ["a/+", "a", false], ["a/+", "a/b/c", false], ["a/#", "a", true], ["a/#", "a/b/c", true],
    ["#", "a/b", true], ["#", "$SYS/x", false], ["+/x", "$SYS/x", false], ["$SYS/#", "$SYS/x", true], ["+", "é", true], ["a/+/c", "a//c", true], ["a/b/", "a/b", false],
  ])) assert.equal(matches(filter, topic), want, `${filter} ~ ${topic}`);
});

test("waits grow, are bounded and spread", () => {
  assert.equal(backoffMs(0, () => 1), 250);
  assert.equal(backoffMs(3, () => 1), 2000);
  assert.equal(backoffMs(3, () => 0), 1000);
  assert.equal(backoffMs(999, () => 1), 10_000);
});

test("the clock trusts the sample with the shortest way", () => {
  let here = 1_000_000;
  const clock = new HubClock(() => here, () => 0);
  clock.sample(1_005_000, null);
  assert.equal(clock.offsetMs, 5000);
  here = 1_000_400;
  clock.sample(1_005_600, 1_000_000); // 400 ms there and back: half of it is the way
  assert.equal(clock.offsetMs, 5400);
  here = 1_000_500;
  clock.sample(1_005_505, 1_000_490);
  assert.equal(clock.offsetMs, 5010);
  here = 1_003_000;
  clock.sample(1_009_000, 1_001_000);
  assert.equal(clock.offsetMs, 5010, "a slow answer does not spoil a good one");
  assert.equal(clock.latencyMs, 2000);
  assert.equal(clock.now(), 1_008_010);
});

test("a local clock that is set is noticed, and a new answer then wins", () => {
  let [here, mono] = [1_000_000, 0];
  const clock = new HubClock(() => here, () => mono);
  clock.sample(1_000_000, 1_000_000);
  [here, mono] = [1_001_000, 1000];
  clock.sample(1_001_000, 1_001_000);
  assert.equal(clock.stepped(), false);
  [here, mono] = [4_601_000, 1100];
  assert.equal(clock.stepped(), true);
  assert.equal(clock.stepped(), false);
  clock.sample(1_001_120, 4_600_980);
  assert.equal(Math.round(clock.now()), 1_001_130);
});

const entry = (/** @type {string} */ topic, /** @type {any} */ payload, /** @type {number} */ seq) => ({ topic, payload, format: "json", seq });
const shown = (/** @type {Values} */ values) => Object.fromEntries([...values.topics].map(([topic, value]) => [topic, value.payload]));

test("pages and live messages meet in any order, the newest wins", () => {
  const values = new Values();
  values.expect("s1", ["#"]);
  values.snap({ id: "s1", seq: 10, page: 0, last: false, topics: [entry("a", 1, 3)] });
  values.message({ ...entry("b", "new", 12), retain: true });
  values.message({ topic: "c", deleted: true, retain: true, seq: 13 });
  const changed = values.snap({ id: "s1", seq: 10, page: 1, last: true, resumed: false, topics: [entry("b", "old", 5), entry("c", "gone", 6)] });
  assert.deepEqual(shown(values), { a: 1, b: "new" });
  assert.deepEqual(changed, []);
});

test("a full snapshot takes away what is gone, a resumed one does not", () => {
  const values = new Values();
  for (const [topic, seq] of /** @type {const} */ ([["r/a", 1], ["r/b", 2], ["other", 3]])) values.message({ ...entry(topic, topic, seq), retain: true });
  values.expect("s2", ["r/#"]);
  values.snap({ id: "s2", seq: 9, page: 0, last: true, resumed: true, topics: [{ topic: "r/b", deleted: true, seq: 8 }] });
  assert.deepEqual(Object.keys(shown(values)), ["r/a", "other"]);
  values.expect("s3", ["r/#"]);
  const changed = values.snap({ id: "s3", seq: 20, page: 0, last: true, resumed: false, topics: [entry("r/z", 1, 15)] });
  assert.deepEqual(Object.keys(shown(values)), ["other", "r/z"]);
  assert.deepEqual(changed.map((m) => [m.topic, m.deleted]), [["r/z", false], ["r/a", true]]);
});

test("another hub life counts anew", () => {
  const values = new Values();
  values.message({ ...entry("a", "before", 500), retain: true });
  values.restart();
  values.expect("s1", ["#"]);
  values.snap({ id: "s1", seq: 3, page: 0, last: true, resumed: false, topics: [entry("a", "after", 2)] });
  assert.deepEqual(shown(values), { a: "after" });
});

test("an event is handed on and never kept", () => {
  const values = new Values();
  const event = values.message({ ...entry("a/event", {}, 4), retain: false });
  assert.equal(event?.retain, false);
  assert.equal(values.topics.size, 0);
});
