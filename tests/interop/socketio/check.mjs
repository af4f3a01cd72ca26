// Waiting and comparing: a condition holds in time, or the test ends and says what it saw last.

import assert from "node:assert/strict";

/** How long anything may take. */
const LIMIT_MS = 20_000;
/** How often a condition is looked at. */
const LOOK_MS = 5;

export { assert };

/**
 * Waits until `look` returns something true, and returns it.
 * @param {string} what
 * @param {() => any} look
 * @param {() => unknown} seen what to show when it does not happen
 */
export async function eventually(what, look, seen = () => undefined, limitMs = LIMIT_MS) {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${limitMs} ms; saw ${JSON.stringify(seen())}`);
    }
    await pause(LOOK_MS);
  }
}

/** @param {number} ms */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
