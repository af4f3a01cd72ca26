// @ts-check
/**
 * Lockstep's client for browsers and Node: one file, no dependencies, served by every hub at `client.js`.
 *
 * It connects (WebSocket first, Server-Sent Events and POST where WebSocket does not pass), keeps the latest
 * retained value of every topic it subscribes to, comes back by itself after a gap and then asks only for what
 * changed, and knows the hub's clock. It draws nothing and knows no thing: a topic and a payload is all it sees.
 */

/** @typedef {import("./client.js").Message} Message */

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10_000;
const PING_INTERVAL_MS = 5_000;
const PONG_TIMEOUT_MS = 4_000;
/** After a wake-up nobody wants to look at a dead socket for four seconds. */
const WAKE_PONG_TIMEOUT_MS = 1_500;
const OPEN_TIMEOUT_MS = 6_000;
const PUBLISH_TIMEOUT_MS = 10_000;
const PENDING_PUBLISHES_MAX = 1_000;
const CLOCK_SAMPLES_MAX = 12;
/** A local clock that moves this far against the monotonic one was set, or the machine slept. */
const CLOCK_STEP_MS = 500;
const WEBSOCKET_FAILURES_BEFORE_SSE = 2;
/** How long Server-Sent Events serve before WebSocket is tried again beside them. */
const WEBSOCKET_AGAIN_MS = 300_000;
const PROTOCOL = "lockstep.v1";
/** How long a subscription waits that came when the hub had heard too much. */
const REFUSED_AGAIN_MS = 1_000;
/** What a stream asks for that wants no topic yet, for the hub's greeting: nothing is ever published there. */
const NOTHING = "$lockstep/nothing";

/** Whether an MQTT topic filter (`+`, `#`) matches a topic; wildcards do not match a first level with `$`. */
export function matches(/** @type {string} */ filter, /** @type {string} */ topic) {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (levels[0].startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/** How long to wait before the next try: doubling, bounded, and spread so that a class does not return as one. */
export function backoffMs(/** @type {number} */ attempt, random = Math.random) {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(full * (0.5 + random() / 2));
}

/** What a `publish` that did nothing rejects with; `code` is stable, `message` is the hub's English sentence. */
export class LockstepError extends Error {
  constructor(/** @type {string} */ code, /** @type {string} */ message) {
    super(message);
    this.name = "LockstepError";
    this.code = code;
  }
}

/** The hub's clock as seen from here: the offset of the sample with the shortest way, of the last few. */
export class HubClock {
  /** @type {{offset: number, rtt: number}[]} */
  #samples = [];
  #step = 0;

  constructor(wall = Date.now, mono = () => performance.now()) {
    this.wall = wall;
    this.mono = mono;
    this.#step = wall() - mono();
  }

  /** Takes a pong (or the hello, whose way is unknown and therefore counts as long). */
  sample(/** @type {number} */ hubNow, /** @type {number|null} */ sentAt) {
    const here = this.wall();
    const rtt = sentAt === null ? 60_000 : Math.max(0, here - sentAt);
    const way = sentAt === null ? 0 : rtt / 2;
    this.#samples.push({ offset: hubNow + way - here, rtt });
    if (this.#samples.length > CLOCK_SAMPLES_MAX) this.#samples.shift();
  }

  get #best() {
    return this.#samples.reduce((a, b) => (b.rtt < a.rtt ? b : a), this.#samples[0]);
  }

  /** Milliseconds that the hub's clock is ahead of this one. */
  get offsetMs() {
    return this.#samples.length ? this.#best.offset : 0;
  }

  /** Round trip of the latest pong, null before the first. */
  get latencyMs() {
    const last = this.#samples.at(-1);
    return last && last.rtt < 60_000 ? last.rtt : null;
  }

  /** The hub's wall clock now, in Unix milliseconds. */
  now() {
    return this.wall() + this.offsetMs;
  }

  /** True once after the local clock was set or the machine slept: old samples are forgotten then. */
  stepped() {
    const step = this.wall() - this.mono();
    const moved = Math.abs(step - this.#step) > CLOCK_STEP_MS;
    this.#step = step;
    if (moved && this.#samples.length > 1) this.#samples = this.#samples.slice(-1).map((s) => ({ ...s, rtt: 60_000 }));
    return moved;
  }
}

/** The latest retained values, fed with frames in any order of pages and live messages. */
export class Values {
  /** @type {Map<string, Message>} */
  topics = new Map();
  /** Snapshots under way: which topics came, and what was deleted meanwhile. @type {Map<string, {filters: string[], seen: Set<string>, deleted: Map<string, number>}>} */
  #snaps = new Map();

  /** A snapshot with this id was asked for. */
  expect(/** @type {string} */ id, /** @type {string[]} */ filters) {
    this.#snaps.set(id, { filters, seen: new Set(), deleted: new Map() });
  }

  /** A snapshot with this id does not come. */
  forgo(/** @type {string} */ id) {
    this.#snaps.delete(id);
  }

  /** A connection ended: half a snapshot proves nothing. */
  abandon() {
    this.#snaps.clear();
  }

  /** Another hub life counts anew: keep showing what was known, but let everything newer win. */
  restart() {
    for (const value of this.topics.values()) value.seq = 0;
  }

  /** Returns the messages that changed something. @param {any} frame @returns {Message[]} */
  snap(frame) {
    const snap = this.#snaps.get(frame.id);
    /** @type {Message[]} */
    const changed = [];
    for (const entry of frame.topics) {
      snap?.seen.add(entry.topic);
      if ((snap?.deleted.get(entry.topic) ?? -1) > entry.seq) continue;
      const message = this.#keep({ ...entry, retain: true, replay: true });
      if (message) changed.push(message);
    }
    if (!frame.last || !snap) return changed;
    this.#snaps.delete(frame.id);
    if (frame.resumed) return changed;
    for (const [topic, value] of this.topics) {
      const gone = value.seq <= frame.seq && !snap.seen.has(topic) && snap.filters.some((f) => matches(f, topic));
      const message = gone && this.#keep({ topic, deleted: true, retain: true, replay: true, seq: frame.seq });
      if (message) changed.push(message);
    }
    return changed;
  }

  /** Takes a live message; null if something newer is known. @param {any} frame @returns {Message|null} */
  message(frame) {
    if (!frame.retain) return { ...frame, replay: false };
    if (frame.deleted) for (const snap of this.#snaps.values()) snap.deleted.set(frame.topic, frame.seq);
    return this.#keep({ ...frame, replay: false });
  }

  /** @param {any} entry @returns {Message|null} */
  #keep(entry) {
    const known = this.topics.get(entry.topic);
    if (known && known.seq > entry.seq) return null;
    if (entry.deleted) {
      if (!this.topics.delete(entry.topic)) return null;
      return { topic: entry.topic, payload: null, format: "text", retain: true, seq: entry.seq, deleted: true, replay: entry.replay };
    }
    const message = { topic: entry.topic, payload: entry.payload, format: entry.format, retain: true, seq: entry.seq, deleted: false, replay: entry.replay };
    this.topics.set(entry.topic, message);
    return message;
  }
}

/** One connection to one hub, kept for as long as it is wanted. */
export class LockstepClient {
  /** @type {any} */ #socket = null;
  /** @type {any} */ #stream = null;
  /** @type {Map<string, {count: number, complete: boolean}>} */ #filters = new Map();
  /** @type {Set<{filters: string[]|null, take: (m: Message) => void}>} */ #takers = new Set();
  /** @type {Map<string, Set<(detail: any) => void>>} */ #handlers = new Map();
  /** @type {Map<string, {resolve: (v: any) => void, reject: (e: Error) => void, timer: any}>} */ #pending = new Map();
  /** @type {Map<string, string[]>} */ #asked = new Map();
  /** @type {Map<number, number>} */ #pings = new Map();
  #values = new Values();
  #boot = "";
  #seq = 0;
  #count = 0;
  #attempt = 0;
  #socketFailures = 0;
  #heardAt = 0;
  /** When WebSocket was tried last while a stream serves. */
  #socketTriedAt = 0;
  /** @type {any} */ #reopening = null;
  /** A subscription that the first socket has brought with it. @type {{id: string, filters: string[]}|null} */ #askedEarly = null;
  /** Whether the hub is being asked if it is there. */
  #asking = false;
  /** @type {any} */ #timer = null;
  /** @type {any} */ #pulse = null;
  #prefix = Math.random().toString(36).slice(2, 8);

  /** @param {Partial<import("./client.js").ClientOptions>} [options] */
  constructor(options = {}) {
    const base = globalThis.document?.baseURI ?? "http://127.0.0.1:8080/";
    this.base = options.url ?? base;
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    this.EventSource = options.EventSource ?? globalThis.EventSource;
    this.fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    this.random = options.random ?? Math.random;
    this.webSocketAgainMs = options.webSocketAgainMs ?? WEBSOCKET_AGAIN_MS;
    this.#askedEarly = options.asked ?? null;
    this.clock = new HubClock();
    /** @type {import("./client.js").Status} */
    this.status = { state: "closed", transport: null, attempt: 0, retryAt: null, since: Date.now() };
    /** @type {import("./client.js").Hello|null} */
    this.hello = null;
    /** @type {object|null} */
    this.presence = null;
  }

  /** Starts, and keeps trying until `close`. */
  connect() {
    if (this.status.state !== "closed") return this;
    globalThis.addEventListener?.("online", this.#woken);
    globalThis.document?.addEventListener("visibilitychange", this.#woken);
    this.#pulse = setInterval(() => this.#beat(), 1_000);
    this.#open();
    return this;
  }

  /** Ends the connection for good; `connect` starts anew. */
  close() {
    globalThis.removeEventListener?.("online", this.#woken);
    globalThis.document?.removeEventListener("visibilitychange", this.#woken);
    clearInterval(this.#pulse);
    clearTimeout(this.#timer);
    this.#drop();
    this.#become("closed");
  }

  /** Tries at once instead of waiting out the back-off. */
  retry() {
    if (this.status.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#open();
  }

  /**
   * Asks the hub for topics and calls `take` with each message, the retained ones that are known already first.
   * @param {string|string[]} filters
   * @param {(message: Message) => void} [take]
   * @returns {() => void} ends the subscription
   */
  subscribe(filters, take = () => {}) {
    const list = typeof filters === "string" ? [filters] : [...filters];
    const fresh = [];
    for (const filter of list) {
      const known = this.#filters.get(filter);
      if (known) known.count += 1;
      else {
        this.#filters.set(filter, { count: 1, complete: false });
        fresh.push(filter);
      }
    }
    const stop = this.watch(list, take);
    if (fresh.length) this.#ask(fresh, false);
    return () => {
      stop();
      const unused = list.filter((filter) => {
        const known = this.#filters.get(filter);
        return known && --known.count === 0 && this.#filters.delete(filter);
      });
      if (!unused.length) return;
      this.#send({ type: "unsub", filters: unused });
      this.#forget();
    };
  }

  /** Like `subscribe`, but only listens to what others subscribed to; null listens to everything. */
  watch(/** @type {string|string[]|null} */ filters, /** @type {(message: Message) => void} */ take) {
    const list = typeof filters === "string" ? [filters] : filters;
    const taker = { filters: list, take };
    this.#takers.add(taker);
    for (const value of this.values(list)) take({ ...value, replay: true });
    return () => void this.#takers.delete(taker);
  }

  /** The latest retained message of a topic. */
  value(/** @type {string} */ topic) {
    return this.#values.topics.get(topic) ?? null;
  }

  /** The latest retained messages that match. @returns {Message[]} */
  values(/** @type {string|string[]|null} */ filters = null) {
    const list = typeof filters === "string" ? [filters] : filters;
    const all = [...this.#values.topics.values()];
    return list ? all.filter((value) => list.some((filter) => matches(filter, value.topic))) : all;
  }

  /**
   * Publishes, and resolves when the hub has it on disk; rejects with a `LockstepError` when it did nothing, or when
   * nobody can know (`disconnected`, `timeout`). Nothing is remembered for later: a late press would surprise.
   * @param {string} topic
   * @param {any} payload
   * @param {{retain?: boolean, format?: string, timeoutMs?: number}} [options]
   * @returns {Promise<{seq: number}>}
   */
  publish(topic, payload, options = {}) {
    if (this.status.state !== "live") return Promise.reject(new LockstepError("offline", "not connected"));
    if (this.#pending.size >= PENDING_PUBLISHES_MAX) return Promise.reject(new LockstepError("busy", "too much is under way"));
    const ref = `${this.#prefix}${(this.#count += 1).toString(36)}`;
    const { retain, format, timeoutMs = PUBLISH_TIMEOUT_MS } = options;
    const frame = { type: "pub", topic, payload, ref, ...(retain && { retain }), ...(format && { format }) };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(ref, new LockstepError("timeout", "the hub did not answer")), timeoutMs);
      this.#pending.set(ref, { resolve, reject, timer });
      if (this.#stream) this.#post(frame);
      else this.#send(frame);
    });
  }

  /** Says who is here and which room is looked at; said again after each reconnect. */
  here(/** @type {string} */ room, /** @type {string} */ name) {
    this.presence = { type: "here", room, name };
    this.#send(this.presence);
  }

  /** Listens to `status`, `hello`, `clock`, `snap`, `refused` (a filter that the hub does not let one subscribe to) or `error`; returns how to stop. */
  on(/** @type {string} */ event, /** @type {(detail: any) => void} */ handle) {
    const set = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, set.add(handle));
    return () => void set.delete(handle);
  }

  /** The hub's clock now, in Unix milliseconds. */
  now() {
    return this.clock.now();
  }

  #emit(/** @type {string} */ event, /** @type {any} */ detail) {
    for (const handle of this.#handlers.get(event) ?? []) handle(detail);
  }

  #become(/** @type {any} */ state, /** @type {number|null} */ retryAt = null) {
    const transport = this.#stream ? "sse" : this.#socket ? "websocket" : null;
    const since = state === this.status.state ? this.status.since : Date.now();
    this.status = { state, transport, attempt: this.#attempt, retryAt, since };
    this.#emit("status", this.status);
  }

  #open() {
    this.#heardAt = Date.now();
    if (this.#socketFailures >= WEBSOCKET_FAILURES_BEFORE_SSE && this.EventSource) {
      this.#socketTriedAt = this.#heardAt;
      return this.#openStream();
    }
    const url = new URL("ws", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.#socket = new this.WebSocket(url.href, PROTOCOL));
    this.#become("connecting");
    const take = this.#taking();
    socket.onmessage = take.message;
    socket.onerror = () => {}; // the close that follows says it; without a listener Node would end
    socket.onclose = () => socket === this.#socket && this.#lost(take.greeted());
  }

  /** A stream's filters are in its address: with others it is opened anew, which is no loss of the connection. */
  #openStream() {
    const url = new URL("api/v1/stream", this.base);
    for (const filter of this.#filters.size ? this.#filters.keys() : [NOTHING]) url.searchParams.append("filter", filter);
    const before = this.#stream;
    const stream = (this.#stream = new this.EventSource(url.href));
    before?.close();
    this.#asked.clear();
    this.#values.abandon();
    if (!before) this.#become("connecting");
    const take = this.#taking();
    stream.onmessage = (/** @type {any} */ event) => stream === this.#stream && take.message(event);
    stream.onerror = () => stream === this.#stream && this.#lost(take.greeted());
  }

  /** What takes in a connection's messages, and knows whether the hub has greeted. */
  #taking() {
    let greeted = false;
    const message = (/** @type {any} */ event) => {
      const frame = typeof event.data === "string" ? parseFrame(event.data) : null;
      greeted ||= frame?.type === "hello";
      // One that was heard before somebody could take it, see `asked`, is as old as its event.
      if (frame?.type === "hello" && event.timeStamp) frame.now += Math.max(0, performance.now() - event.timeStamp);
      if (frame) this.#frame(frame);
    };
    return { message, greeted: () => greeted };
  }

  #drop() {
    const [socket, stream] = [this.#socket, this.#stream];
    this.#socket = this.#stream = null;
    socket?.close();
    stream?.close();
    this.#pings.clear();
    this.#asked.clear();
    this.#askedEarly = null;
    this.#values.abandon();
    for (const ref of [...this.#pending.keys()]) this.#settle(ref, new LockstepError("disconnected", "the connection was lost before the hub answered"));
  }

  #lost(/** @type {boolean} */ greeted) {
    const refused = !greeted && this.#socket !== null;
    if (!refused) this.#socketFailures = 0;
    this.#drop();
    if (refused) void this.#judge();
    const wait = backoffMs(this.#attempt, this.random);
    this.#attempt += 1;
    this.#become("waiting", Date.now() + wait);
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  /** A WebSocket that fails while the hub answers otherwise does not pass; one that fails with everything else proves nothing. */
  async #judge() {
    const there = await this.#isThere();
    if (this.status.state !== "live") this.#socketFailures = there ? this.#socketFailures + 1 : 0;
  }

  async #isThere() {
    try {
      const answer = await this.fetch(new URL("healthz", this.base), { cache: "no-store", signal: AbortSignal.timeout(PONG_TIMEOUT_MS) });
      return answer.ok;
    } catch {
      return false;
    }
  }

  /** A stream has no ping: asks the hub beside it, for one that is cut off without a word looks alive. */
  async #askBeside() {
    if (this.#asking) return;
    this.#asking = true;
    const stream = this.#stream;
    const there = await this.#isThere();
    this.#asking = false;
    if (stream !== this.#stream) return;
    if (there) this.#heardAt = Date.now();
    else this.#lost(true);
  }

  /** Tries beside a stream that serves whether WebSocket passes by now, and changes to it. */
  #trySocket() {
    this.#socketTriedAt = Date.now();
    const url = new URL("ws", this.base);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new this.WebSocket(url.href, PROTOCOL);
    socket.onerror = () => {};
    socket.onmessage = () => {
      socket.onmessage = null;
      socket.close();
      if (!this.#stream) return;
      this.#lost(true);
      this.retry();
    };
    setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
  }

  #woken = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.status.state === "waiting") return this.retry();
    if (this.status.state !== "live") return;
    this.clock.stepped();
    if (this.#stream) void this.#askBeside();
    else this.#ping(WAKE_PONG_TIMEOUT_MS);
  };

  #beat() {
    const now = Date.now();
    if (this.clock.stepped()) this.#woken();
    if (this.status.state === "connecting" && now - this.#heardAt > OPEN_TIMEOUT_MS) return this.#lost(false);
    if (this.status.state === "live" && this.#stream) {
      if (now - this.#heardAt >= PING_INTERVAL_MS) void this.#askBeside();
      if (now - this.#socketTriedAt >= this.webSocketAgainMs && !this.#pending.size) this.#trySocket();
    }
    if (this.status.state === "live" && !this.#stream && !this.#pings.size && now - this.#heardAt >= PING_INTERVAL_MS) this.#ping(PONG_TIMEOUT_MS);
  }

  #ping(/** @type {number} */ timeout) {
    if (!this.#socket) return;
    const id = (this.#count += 1);
    const socket = this.#socket;
    this.#pings.set(id, Date.now());
    this.#send({ type: "ping", id });
    setTimeout(() => socket === this.#socket && this.#pings.has(id) && this.#lost(true), timeout);
  }

  #send(/** @type {object} */ frame) {
    if (this.status.state === "live" && this.#socket) this.#socket.send(JSON.stringify(frame));
  }

  async #post(/** @type {any} */ frame) {
    try {
      const answer = await this.fetch(new URL("api/v1/publish", this.base), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(frame),
      });
      const body = await answer.json().catch(() => ({}));
      this.#frame(answer.ok ? { type: "ack", seq: 0, ...body, ref: frame.ref } : { code: "forbidden", message: answer.statusText, ...body, type: "err", ref: frame.ref });
    } catch {
      this.#settle(frame.ref, new LockstepError("disconnected", "the hub could not be reached"));
    }
  }

  /** Asks for snapshots; with `resume` only for what changed since the cursor. */
  #ask(/** @type {string[]} */ filters, /** @type {boolean} */ resume) {
    if (this.status.state !== "live" || !filters.length) return;
    if (this.#stream) {
      // Once for all that are asked for now.
      this.#reopening ??= setTimeout(() => {
        this.#reopening = null;
        if (this.#stream) this.#openStream();
      });
      return;
    }
    const early = this.#askedEarly;
    this.#askedEarly = null;
    const already = early !== null && String(early.filters) === String(filters);
    const id = already ? early.id : `s${(this.#count += 1)}`;
    this.#asked.set(id, filters);
    this.#values.expect(id, filters);
    if (already) return;
    const unwanted = early?.filters.filter((filter) => !this.#filters.has(filter)) ?? [];
    if (unwanted.length) this.#send({ type: "unsub", filters: unwanted });
    this.#send({ type: "sub", filters, id, ...(resume && { boot: this.#boot, seq: this.#seq }) });
  }

  /** A subscription that was refused as a whole: each of its filters is asked for alone, and one that is refused alone is given up. */
  #refused(/** @type {any} */ frame) {
    const asked = this.#asked.get(frame.id);
    if (!asked) return;
    this.#asked.delete(frame.id);
    this.#values.forgo(frame.id);
    const stillWanted = () => asked.filter((filter) => this.#filters.has(filter));
    if (frame.code === "rate_limited") return void setTimeout(() => this.#ask(stillWanted(), false), REFUSED_AGAIN_MS);
    const [filter] = stillWanted();
    if (asked.length > 1) for (const one of stillWanted()) this.#ask([one], false);
    else if (filter) {
      /** @type {any} */ (this.#filters.get(filter)).complete = false;
      this.#forget(filter);
      this.#emit("refused", { filter, code: frame.code, message: frame.message });
    }
    this.#emit("snap", { filters: [...this.#filters.keys()], complete: this.#asked.size === 0 });
  }

  /** Values that no filter but `unseen` covers are not up to date any more. */
  #forget(/** @type {string|null} */ unseen = null) {
    const filters = [...this.#filters.keys()].filter((filter) => filter !== unseen);
    for (const topic of [...this.#values.topics.keys()]) {
      if (!filters.some((filter) => matches(filter, topic))) this.#values.topics.delete(topic);
    }
  }

  #greet(/** @type {any} */ frame) {
    this.hello = frame;
    this.#attempt = 0;
    this.clock.sample(frame.now, null);
    const same = frame.boot === this.#boot;
    if (!same) this.#values.restart();
    const filters = [...this.#filters];
    const complete = filters.filter(([, f]) => same && f.complete).map(([filter]) => filter);
    const rest = filters.filter(([, f]) => !same || !f.complete).map(([filter]) => filter);
    if (!same) this.#seq = 0;
    for (const filter of rest) /** @type {any} */ (this.#filters.get(filter)).complete = false;
    this.#become("live");
    if (this.presence) this.#send(this.presence);
    if (!this.#stream) {
      this.#ask(complete, true);
      this.#boot = frame.boot;
      this.#ask(rest, false);
      this.#ping(PONG_TIMEOUT_MS);
    } else {
      this.#boot = "";
    }
    this.#emit("hello", frame);
  }

  #frame(/** @type {any} */ frame) {
    this.#heardAt = Date.now();
    switch (frame.type) {
      case "hello":
        return this.#greet(frame);
      case "snap": {
        if (!this.#asked.has(frame.id)) {
          if (!this.#stream) return; // asked for by somebody else, see `asked`
          this.#asked.set(frame.id, [...this.#filters.keys()]);
          this.#values.expect(frame.id, [...this.#filters.keys()]);
        }
        for (const message of this.#values.snap(frame)) this.#hand(message);
        if (frame.last) {
          for (const filter of this.#asked.get(frame.id) ?? []) {
            const known = this.#filters.get(filter);
            if (known) known.complete = true;
          }
          this.#asked.delete(frame.id);
          this.#seq = Math.max(this.#seq, frame.seq);
          this.#emit("snap", { filters: [...this.#filters.keys()], complete: this.#asked.size === 0 });
        }
        return;
      }
      case "msg": {
        this.#seq = Math.max(this.#seq, frame.seq);
        const message = this.#values.message(frame);
        if (message) this.#hand(message);
        return;
      }
      case "ack":
        return this.#settle(frame.ref, null, frame);
      case "err":
        if (frame.id !== undefined) return this.#refused(frame);
        if (frame.ref !== undefined) return this.#settle(frame.ref, new LockstepError(frame.code, frame.message));
        return this.#emit("error", frame);
      case "resync":
        return this.#ask([...this.#filters.keys()], false);
      case "pong": {
        const sent = this.#pings.get(frame.id);
        this.#pings.delete(frame.id);
        if (sent === undefined) return;
        this.clock.sample(frame.now, sent);
        this.#emit("clock", this.clock);
      }
    }
  }

  #hand(/** @type {Message} */ message) {
    for (const { filters, take } of [...this.#takers]) {
      if (!filters || filters.some((filter) => matches(filter, message.topic))) take(message);
    }
  }

  #settle(/** @type {string} */ ref, /** @type {Error|null} */ error, /** @type {any} */ ack = null) {
    const waiting = this.#pending.get(ref);
    if (!waiting) return;
    this.#pending.delete(ref);
    clearTimeout(waiting.timer);
    if (error) waiting.reject(error);
    else waiting.resolve({ seq: ack.seq });
  }
}

/** A frame the hub could not have meant is skipped, not fatal. @returns {any} */
function parseFrame(/** @type {string} */ text) {
  try {
    const frame = JSON.parse(text);
    return frame && typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}
