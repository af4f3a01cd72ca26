// @ts-check
/**
 * What the page knows of one room: the things, their states, who did what, whether it is live, and how a command of
 * its own ended. It stands between the client and the elements, and knows neither the DOM nor languages.
 */
import { LockstepClient, LockstepError } from "./client.js";

/**
 * @typedef {{id: string, type: string, name: string, field?: string, command?: any, min?: number, max?: number, step?: number, unit?: string, options?: any[]}} Control
 * @typedef {{id: string, kind: string, name: string, controls?: Control[]}} Thing
 * @typedef {{id: string, name: string, things: Thing[]}} Room
 * @typedef {{code: string, message: string, thing: string, command: any}} Refusal
 */

/** Used until the hub says its own. */
const SLIDER_INTERVAL_MS = 50;
const UNHEARD_MAX = 4;

export class Store {
  /** @type {Set<() => void>} */ #watchers = new Set();
  /** @type {Set<(r: Refusal|null, thing: string) => void>} */ #outcomes = new Set();
  /** Refusals that came before anybody could show them. @type {Refusal[]} */ #unheard = [];
  #stop = () => {};
  /** Filters that the hub does not let this page subscribe to. @type {Set<string>} */ #barred = new Set();

  /** @param {LockstepClient} client @param {{room: string, name: string}} chosen */
  constructor(client, { room, name }) {
    this.client = client;
    this.roomId = room;
    this.name = name;
    this.root = "";
    /** Whether the room's values are known at all. */
    this.filled = false;
    client.on("hello", (hello) => this.#greeted(hello));
    client.on("refused", ({ filter, code }) => {
      if (code === "forbidden") this.#barred.add(filter);
      this.#changed();
    });
    client.on("status", () => this.#changed());
    client.on("clock", () => this.#changed());
    client.on("snap", ({ complete }) => {
      this.filled ||= complete;
      this.#changed();
    });
    client.watch(null, () => this.#changed());
  }

  /** Calls `look` after every change, once per batch of frames. @param {() => void} look */
  watch(look) {
    this.#watchers.add(look);
    look();
    return () => void this.#watchers.delete(look);
  }

  /** Hears how each own command ended: null for accepted. @param {(r: Refusal|null, thing: string) => void} hear */
  outcomes(hear) {
    this.#outcomes.add(hear);
    for (const refusal of this.#unheard.splice(0)) hear(refusal, refusal.thing);
    return () => void this.#outcomes.delete(hear);
  }

  get live() {
    return this.client.status.state === "live" && this.filled;
  }

  get role() {
    return this.client.hello?.you.role ?? "viewer";
  }

  /** May this person send commands? Before the hello nobody knows, and nothing is forbidden in advance. */
  get mayCommand() {
    return this.client.hello === null || this.role !== "viewer";
  }

  /** May this person make rooms and invite guests? */
  get mayAdminister() {
    return this.role === "admin";
  }

  /** The only room of a guest, null for everybody else. @returns {string|null} */
  get guestRoom() {
    return this.client.hello?.you.room ?? null;
  }

  get sliderIntervalMs() {
    return this.client.hello?.limits?.slider_interval_ms ?? SLIDER_INTERVAL_MS;
  }

  now() {
    return this.client.now();
  }

  /** The hub's description of itself, null before it came. */
  get info() {
    return this.client.value(`${this.root}/hub/info`)?.payload ?? null;
  }

  /** The rooms that one may go to. @returns {Room[]} */
  get rooms() {
    const all = /** @type {Room[]} */ (this.info?.rooms ?? []);
    return this.guestRoom === null ? all : all.filter((room) => room.id === this.guestRoom);
  }

  /** @returns {Room|null} */
  get room() {
    return this.rooms.find((room) => room.id === this.roomId) ?? null;
  }

  /** Whether this person may not see the room. */
  get barred() {
    return this.#barred.has(`${this.root}/${this.roomId}/#`);
  }

  /** @returns {Thing[]} */
  get things() {
    return this.room?.things ?? [];
  }

  /** What a timer is called where there are several of them, null where it is the only one. @returns {string|null} */
  timerName(/** @type {string} */ id) {
    const timers = this.things.filter((thing) => thing.kind === "pomodoro");
    return timers.length > 1 ? (timers.find((thing) => thing.id === id)?.name ?? null) : null;
  }

  topic(/** @type {string} */ thing, /** @type {string} */ leaf) {
    return `${this.root}/${this.roomId}/${thing}/${leaf}`;
  }

  /** The latest state message of a thing. */
  state(/** @type {string} */ thing) {
    return this.client.value(this.topic(thing, "state"));
  }

  /** Who is in the room. @returns {{name: string, kind: string, since: number}[]} */
  get people() {
    return this.client.value(`${this.root}/${this.roomId}/people`)?.payload?.people ?? [];
  }

  /** Devices of the room that are off, and when they were here last; null when that was before the hub began. @returns {{name: string, kind: string, since: number|null}[]} */
  get away() {
    return this.client.value(`${this.root}/${this.roomId}/people`)?.payload?.away ?? [];
  }

  /** Looks at another room. */
  enter(/** @type {string} */ room) {
    if (room === this.roomId || this.guestRoom !== null) return;
    this.roomId = room;
    if (this.root) this.#subscribe();
    this.#changed();
  }

  /** Chooses the name that others see. */
  rename(/** @type {string} */ name) {
    this.name = name;
    this.client.here(this.roomId, name);
    this.#changed();
  }

  /**
   * Sends a command and tells its outcome; resolves to the place in the order, or null when it did nothing.
   * @param {string} thing @param {any} command @returns {Promise<number|null>}
   */
  async send(thing, command) {
    try {
      const { seq } = await this.client.publish(this.topic(thing, "set"), command);
      for (const hear of this.#outcomes) hear(null, thing);
      return seq;
    } catch (error) {
      const known = error instanceof LockstepError;
      const refusal = { code: known ? error.code : "unknown", message: String(/** @type {Error} */ (error).message), thing, command };
      this.refuse(refusal);
      return null;
    }
  }

  /** Tells that a command of one's own did nothing. @param {Refusal} refusal */
  refuse(refusal) {
    if (!this.#outcomes.size && this.#unheard.length < UNHEARD_MAX) this.#unheard.push(refusal);
    for (const hear of this.#outcomes) hear(refusal, refusal.thing);
  }

  #greeted(/** @type {import("./client.js").Hello} */ hello) {
    this.#barred.clear();
    const only = hello.you.room ?? this.roomId;
    if (hello.hub.root !== this.root || only !== this.roomId) {
      this.roomId = only;
      this.root = hello.hub.root;
      this.#subscribe();
    }
    this.#changed();
  }

  #subscribe() {
    const stop = this.#stop;
    this.#stop = this.client.subscribe([`${this.root}/${this.roomId}/#`, `${this.root}/hub/#`]);
    stop();
    this.client.here(this.roomId, this.name);
  }

  #queued = false;
  #changed() {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      for (const look of [...this.#watchers]) look();
    });
  }
}
