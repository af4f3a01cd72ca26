import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";

const web = new URL("../../../web/", import.meta.url);
const files = /** @type {string[]} */ (readdirSync(web, { recursive: true })).filter((name) => statSync(new URL(name, web)).isFile());
const text = (/** @type {string} */ name) => readFileSync(new URL(name, web), "utf8");
/** Loaded when somebody wants them. */
const LATE = ["js/strings/de.js", "js/elements/topics.js", "js/topic-tree.js", "js/elements/history.js", "js/past.js", "js/offline.js", "js/theme-first.js", "js/login.js"];

test("each module of the first view is preloaded: one wait for the network, not a chain of them", () => {
  const wanted = files.filter((name) => name.startsWith("js/") && name.endsWith(".js") && !LATE.includes(name)).sort();
  const listed = [...text("index.html").matchAll(/modulepreload" href="([^"]+)"/g)].map((m) => m[1]).sort();
  assert.deepEqual(listed, wanted);
});

test("the page works below any path and under a strict content policy", () => {
  for (const name of files.filter((f) => /\.(html|css|js|webmanifest)$/.test(f))) {
    const source = text(name);
    assert.ok(!/(?:src|href)="\/|url\("?\/|import\("?\//.test(source), `${name}: an address from the root`);
    assert.ok(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/.test(source), `${name}: markup from strings`);
    if (name.endsWith(".html")) assert.ok(!/<script(?![^>]*src=)|<style|\sstyle="|\son\w+="/.test(source), `${name}: inline script or style`);
    if (!name.endsWith(".svg")) assert.ok(!/https?:\/\/(?!www\.w3\.org|127\.0\.0\.1|hub\.local)/.test(source), `${name}: another host`);
  }
});
