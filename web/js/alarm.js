// @ts-check
/**
 * The alarm's sound: synthesised, until somebody acknowledges. Browsers give no sound before the first touch of the
 * page; `blocked` says so. What is remembered per browser: on, which, how loud.
 */
import { remember, remembered } from "./theme.js";

/** A sound is notes: [start s, frequency Hz, length s]. @type {Record<string, {wave: OscillatorType, notes: number[][]}>} */
export const SOUNDS = Object.freeze({
  chime: { wave: "sine", notes: [[0, 659, 0.9], [0.22, 831, 0.9], [0.44, 988, 1.4]] },
  bell: { wave: "triangle", notes: [[0, 523, 1.8], [0.01, 1046, 1.2], [0.02, 1569, 0.7]] },
  wood: { wave: "sine", notes: [[0, 392, 0.16], [0.2, 523, 0.16], [0.4, 392, 0.16], [0.6, 659, 0.24]] },
  beep: { wave: "square", notes: [[0, 880, 0.12], [0.2, 880, 0.12], [0.4, 880, 0.12]] },
});
const REPEAT_MS = 2_600;
const ATTACK_S = 0.012;

export class Alarm {
  /** @type {AudioContext|null} */ #context = null;
  /** @type {any} */ #timer = null;

  constructor(/** @type {() => void} */ changed) {
    this.changed = changed;
    for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => this.#unlock(), { capture: true, passive: true });
  }

  get on() {
    return remembered("lockstep.sound.on") !== "no";
  }

  get name() {
    const name = remembered("lockstep.sound") ?? "";
    return name in SOUNDS ? name : "chime";
  }

  /** 0 to 1. */
  get volume() {
    const volume = Number(remembered("lockstep.sound.volume") ?? "0.6");
    return volume >= 0 && volume <= 1 ? volume : 0.6;
  }

  get ringing() {
    return this.#timer !== null;
  }

  /** It should sound and may not yet. */
  get blocked() {
    return this.on && this.#context?.state !== "running";
  }

  /** @param {{on?: boolean, name?: string, volume?: number}} choice */
  choose({ on, name, volume }) {
    if (on !== undefined) remember("lockstep.sound.on", on ? "yes" : "no");
    if (name !== undefined) remember("lockstep.sound", name);
    if (volume !== undefined) remember("lockstep.sound.volume", String(volume));
    this.changed();
  }

  /** Rings until told otherwise. */
  ring(/** @type {boolean} */ wanted) {
    if (wanted === this.ringing) return;
    clearInterval(this.#timer);
    this.#timer = wanted ? setInterval(() => this.#once(), REPEAT_MS) : null;
    if (wanted) this.#once();
  }

  /** Plays the chosen sound once, for choosing. */
  async preview() {
    await this.#unlock();
    this.#play();
  }

  #once() {
    if (this.on) this.#play();
  }

  async #unlock() {
    this.#context ??= new AudioContext();
    if (this.#context.state === "running") return;
    await this.#context.resume();
    this.changed();
  }

  #play() {
    const context = this.#context;
    if (!context || context.state !== "running") return;
    const { wave, notes } = SOUNDS[this.name];
    const loud = context.createGain();
    loud.gain.value = this.volume ** 2 * (wave === "square" ? 0.25 : 0.8); // the ear hears powers
    loud.connect(context.destination);
    for (const [start, frequency, length] of notes) {
      const at = context.currentTime + start;
      const tone = context.createOscillator();
      const shape = context.createGain();
      tone.type = wave;
      tone.frequency.value = frequency;
      shape.gain.setValueAtTime(0.0001, at);
      shape.gain.exponentialRampToValueAtTime(1, at + ATTACK_S);
      shape.gain.exponentialRampToValueAtTime(0.0001, at + length);
      tone.connect(shape).connect(loud);
      tone.start(at);
      tone.stop(at + length);
    }
  }
}
