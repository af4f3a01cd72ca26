// @ts-check
/**
 * What a slider's handle shows while a hand and the hub disagree: the hand's value as long as it holds the handle or
 * the hub has not answered, then the hub's. Pure; the element feeds it and draws `shown`.
 */

export class Handle {
  /** The hub's value, null before the first. @type {number|null} */ hub = null;
  /** The hand's value, null when it wishes nothing. @type {number|null} */ wish = null;
  held = false;
  #hubSeq = 0;
  #unsent = false;
  #underWay = 0;
  #ackedSeq = 0;

  /** What to draw. */
  get shown() {
    return this.wish ?? this.hub;
  }

  /** Whether the value shown is not (yet) the hub's. */
  get pending() {
    return this.wish !== null && this.wish !== this.hub;
  }

  /** A pointer took or left the handle. */
  hold(/** @type {boolean} */ held) {
    this.held = held;
    this.#settle();
  }

  /** The hand moved it. */
  move(/** @type {number} */ value) {
    this.wish = value;
    this.#unsent = true;
  }

  /** A command with the latest wish went out. */
  sent() {
    this.#unsent = false;
    this.#underWay += 1;
  }

  /** The hub accepted a command as publication `seq`. */
  accepted(/** @type {number} */ seq) {
    this.#underWay -= 1;
    this.#ackedSeq = Math.max(this.#ackedSeq, seq);
    this.#settle();
  }

  /** A command did nothing: the handle goes back to the hub's value, unless a later one is still under way or held. */
  refused() {
    this.#underWay -= 1;
    this.#ackedSeq = 0;
    this.#settle();
  }

  /** The hub's value changed, by anybody. */
  took(/** @type {number} */ value, /** @type {number} */ seq) {
    this.hub = value;
    this.#hubSeq = seq;
    this.#settle();
  }

  /** Nothing that was wished will happen (the connection is gone, or the answer's state never came). */
  giveUp() {
    this.#underWay = 0;
    this.#unsent = false;
    this.wish = null;
  }

  /** True when only the state that follows an acknowledgement is missing. */
  get awaitsState() {
    return this.wish !== null && !this.held && !this.#unsent && this.#underWay <= 0;
  }

  #settle() {
    if (this.held || this.#unsent || this.#underWay > 0) return;
    // After an ack the state may be a frame away; until it is here the hub's value is older than the wish.
    if (this.wish !== null && this.#ackedSeq > this.#hubSeq && this.wish !== this.hub) return;
    this.wish = null;
  }
}
