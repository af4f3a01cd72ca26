// @ts-check
/**
 * Sends values no faster than an interval: the first at once, the latest when the interval is over, so that the last
 * one always goes out. The clock comes in for tests. What is sent, and where, is the caller's.
 */

/** @template T */
export class Throttle {
  /** @type {{value: T}|null} */ #held = null;
  /** @type {any} */ #timer = null;
  #sentAt = -Infinity;

  /**
   * @param {(value: T) => void} send
   * @param {() => number} intervalMs asked each time, because the hub may change it
   * @param {{now: () => number, set: (f: () => void, ms: number) => any, clear: (timer: any) => void}} [clock]
   */
  constructor(send, intervalMs, clock = { now: () => performance.now(), set: (f, ms) => setTimeout(f, ms), clear: (timer) => clearTimeout(timer) }) {
    this.send = send;
    this.intervalMs = intervalMs;
    this.clock = clock;
  }

  /** Whether a value still waits to be sent. */
  get waiting() {
    return this.#held !== null;
  }

  /** Takes a value; one that still waits is replaced. */
  push(/** @type {T} */ value) {
    this.#held = { value };
    if (this.#timer !== null) return;
    const wait = this.#sentAt + this.intervalMs() - this.clock.now();
    if (wait <= 0) return this.#go();
    this.#timer = this.clock.set(() => {
      this.#timer = null;
      this.#go();
    }, wait);
  }

  /** Forgets what waits: the person's wish is void, for instance because the connection is gone. */
  cancel() {
    if (this.#timer !== null) this.clock.clear(this.#timer);
    this.#timer = this.#held = null;
  }

  #go() {
    const held = this.#held;
    this.#held = null;
    if (!held) return;
    this.#sentAt = this.clock.now();
    this.send(held.value);
  }
}
