import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";

const web = new URL("../../../web/", import.meta.url);
const files = /** @type {string[]} */ (readdirSync(web, { recursive: true })).filter((name) => statSync(new URL(name, web)).isFile());
const text = (/** @type {string} */ name) => readFileSync(new URL(name, web), "utf8");
/** A module and all that it imports at once; what is imported later, in brackets, is not among it. @param {string[]} names @returns {string[]} */
function withImports(names) {
  const all = new Set(names);
  for (const name of all) for (const [, from] of text(name).matchAll(/^(?:import|export)\s(?:[^;]*?\sfrom\s+)?"(\.[^"]+)";/gm)) all.add(new URL(from, `file:///${name}`).pathname.slice(1));
  return [...all].sort();
}

const preloads = (/** @type {string} */ markup) => [...markup.matchAll(/modulepreload" href="([^"]+)"/g)].map((m) => m[1]).sort();

test("each module of the first picture is preloaded, and none that it does without: one wait for the network, and a short one", () => {
  const [before, template, after] = text("index.html").split(/<template id="page-files">|<\/template>/);
  const scripts = [...(before + after).matchAll(/<script type="module"[^>]* src="([^"]+)"/g)].map((m) => m[1]);
  const picture = preloads(before + after);
  assert.deepEqual(picture, withImports(scripts));
  assert.ok(picture.length <= 7, `${picture.length} modules before the first picture`);

  const page = preloads(template);
  assert.deepEqual(page, withImports(["js/app.js"]).filter((name) => !picture.includes(name)));
  assert.ok(page.length <= 12, `${page.length} modules before the page can be used`);
  for (const late of ["js/attention.js", "js/elements/settings.js", "js/elements/history.js"]) assert.ok(!page.includes(late), late);
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
