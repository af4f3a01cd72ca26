import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { choose, LANGUAGES } from "../../../web/js/i18n.js";
import en from "../../../web/js/strings/en.js";

const web = new URL("../../../web/", import.meta.url);
const places = (/** @type {string} */ text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

test("every language has a file, every file is a language", () => {
  const files = readdirSync(new URL("js/strings/", web)).map((name) => name.replace(".js", "")).sort();
  assert.deepEqual(files, Object.keys(LANGUAGES).sort());
});

for (const tag of Object.keys(LANGUAGES)) {
  test(`${tag}: no string is missing, foreign or empty, and the places are the same`, async () => {
    const strings = (await import(new URL(`js/strings/${tag}.js`, web).href)).default;
    assert.deepEqual(Object.keys(strings), Object.keys(en));
    for (const [key, text] of Object.entries(strings)) {
      assert.ok(text.trim(), key);
      assert.deepEqual(places(text), places(/** @type {any} */ (en)[key]), key);
    }
  });
}

test("every key that the code names exists, and every key is named", () => {
  const sources = /** @type {string[]} */ (readdirSync(web, { recursive: true })).filter((name) => /\.(js|html)$/.test(name) && !name.includes("strings"));
  const code = sources.map((name) => readFileSync(new URL(name, web), "utf8")).join("\n");
  const named = [...code.matchAll(/\bt\(\s*"([\w.]+)"/g), ...code.matchAll(/data-text="([\w.]+)"/g), ...code.matchAll(/[?:]\s*"([a-z]+\.[\w.]+)"/g)].map((m) => m[1]);
  assert.ok(named.length > 40);
  for (const key of named) if (key.split(".")[0] in prefixes()) assert.ok(key in en, `${key} is used but has no text`);
  const built = ["message.", "refused.", "setup.", "theme.", "sound.", "barred.", "topics.", "history."];
  for (const key of Object.keys(en)) assert.ok(code.includes(`"${key}"`) || built.some((start) => key.startsWith(start)), `${key} is never used`);
});

function prefixes() {
  return Object.fromEntries(Object.keys(en).map((key) => [key.split(".")[0], true]));
}

test("every rejection code of the hub has words", () => {
  const rust = readFileSync(new URL("../src/domain/rejection.rs", web), "utf8");
  const codes = [...rust.matchAll(/^\s+[A-Z]\w+ = "(\w+)",$/gm)].map((m) => m[1]);
  assert.ok(codes.length >= 15, "the list was found");
  for (const code of codes) assert.ok(`refused.${code}` in en, code);
});

test("the first wanted language that exists is chosen", () => {
  assert.equal(choose(["fr-CH", "de-CH", "en"]), "de");
  assert.equal(choose(["fr", "it"]), "en");
});
