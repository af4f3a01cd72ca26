import assert from "node:assert/strict";
import { test } from "node:test";
import jsqr from "jsqr";
import { qrModules } from "../../../web/js/qr.js";

/** What a camera would read. @param {boolean[][]} modules */
function read(modules) {
  const [scale, quiet] = [4, 4];
  const size = (modules.length + 2 * quiet) * scale;
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  modules.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (!dark) return;
      for (let dy = 0; dy < scale; dy++) for (let dx = 0; dx < scale; dx++) pixels.fill(0, (((y + quiet) * scale + dy) * size + (x + quiet) * scale + dx) * 4, (((y + quiet) * scale + dy) * size + (x + quiet) * scale + dx) * 4 + 3);
    }),
  );
  return /** @type {any} */ (jsqr)(pixels, size, size)?.data;
}

test("each version is read back by somebody else's decoder", () => {
  const sizes = new Set();
  for (let length = 1; length <= 213; length += 4) {
    const text = `http://hub.local:8080/?room=${"kitchen-".repeat(40)}`.slice(0, length);
    const modules = qrModules(text);
    assert.ok(modules, `${length} bytes fit`);
    sizes.add(modules.length);
    assert.equal(read(modules), text);
  }
  assert.equal(sizes.size, 10);
});

test("what is too long is none", () => {
  assert.equal(qrModules("x".repeat(214)), null);
});
