import assert from "node:assert/strict";
import { test } from "node:test";
import { preview, readAs, sortTopics, treeRows } from "../../../web/js/topic-tree.js";

const lines = (/** @type {ReturnType<typeof treeRows>} */ rows) => rows.map((r) => `${"  ".repeat(r.depth)}${r.label}${r.topic ? "" : "/"}${r.inside ? ` (${r.inside})` : ""}`);

test("topics become a tree with counts; a topic may have topics below it", () => {
  const topics = sortTopics(["b", "a/x/2", "a/x", "a-z", "a/x/1"]);
  assert.deepEqual(lines(treeRows(topics)), ["a/ (3)", "  x (2)", "    1", "    2", "a-z", "b"]);
});

test("what is folded is hidden and still counted, a filter opens it", () => {
  const topics = sortTopics(["a/x/1", "a/x/2", "a/y", "b"]);
  assert.deepEqual(lines(treeRows(topics, { folded: new Set(["a/x"]) })), ["a/ (3)", "  x/ (2)", "  y", "b"]);
  assert.deepEqual(lines(treeRows(topics, { folded: new Set(["a"]) })), ["a/ (3)", "b"]);
  assert.deepEqual(lines(treeRows(topics, { folded: new Set(["a"]), filter: "X 2" })), ["a/ (1)", "  x/ (1)", "    2"]);
  assert.deepEqual(treeRows(topics, { filter: "nothing" }), []);
});

test("empty levels and letters of any script stand", () => {
  assert.deepEqual(lines(treeRows(sortTopics(["/a", "é/x", "a//b"]))), ["/ (1)", "  a", "a/ (1)", "  / (1)", "    b", "é/ (1)", "  x"]);
});

test("ten thousand topics are rows in a moment", () => {
  const topics = Array.from({ length: 10_000 }, (_, i) => `home/room${i % 100}/sensor${i}/value`);
  const began = performance.now();
  const rows = treeRows(sortTopics(topics));
  assert.equal(rows.length, 1 + 100 + 20_000);
  assert.ok(performance.now() - began < 1000);
});

test("payloads are read as JSON, text and bytes", () => {
  assert.equal(preview({ payload: { a: 1 }, format: "json" }), '{"a":1}');
  assert.equal(preview({ payload: "x".repeat(300), format: "text" }, 10), "xxxxxxxxxx…");
  assert.equal(readAs({ payload: "/wD+", format: "base64" }, "hex"), "ff 00 fe");
  assert.equal(readAs({ payload: "é", format: "text" }, "hex"), "c3 a9");
  assert.equal(readAs({ payload: { a: 1 }, format: "json" }, "json"), '{\n  "a": 1\n}');
});

test("a level without a name is folded like others", () => {
  const rows = treeRows(sortTopics(["/a", "/b", "c"]), { folded: new Set([""]) });
  assert.deepEqual(rows.map((row) => row.path), ["", "c"]);
});

test("of a picture's bytes only the first are read for a line", () => {
  const payload = Buffer.alloc(300_000, 7).toString("base64");
  assert.equal(preview({ payload, format: "base64" }, 10), "07 07 07 0…");
});
