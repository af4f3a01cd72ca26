// @ts-check
/** A real hub of one's own for a story: started, killed and started again on the same ports and data. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import mqtt from "mqtt";

export const BINARY = process.env.LOCKSTEP_BIN ?? new URL("../../../target/debug/lockstep", import.meta.url).pathname;
const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 8_000;

/** Waits for a level and says what it last saw. @template T @param {string} what @param {() => T|Promise<T>} look @param {(seen: T) => boolean} [good] */
export async function eventually(what, look, good = Boolean, limitMs = 10_000) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (good(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All that were started; a story that failed leaves none behind. @type {Set<Hub>} */
const hubs = new Set();
after(() => Promise.all([...hubs].map((hub) => hub.end())));

export class Hub {
  dir = mkdtempSync(join(tmpdir(), "lockstep-story-"));
  http = "127.0.0.1:0";
  mqtt = "127.0.0.1:0";
  log = "";
  /** @type {import("node:child_process").ChildProcess|null} */ process = null;
  /** @type {import("mqtt").MqttClient[]} */ #clients = [];

  /** @param {string[]} [more] further arguments */
  static async start(...more) {
    const hub = new Hub();
    hub.more = more;
    await hub.start();
    return hub;
  }

  /** @type {string[]} */ more = [];

  async start() {
    hubs.add(this);
    const child = spawn(BINARY, ["--http", this.http, "--mqtt", this.mqtt, "--ready-json", "--data-dir", this.dir, ...this.more], { stdio: ["ignore", "pipe", "pipe"] });
    this.process = child;
    child.stderr?.on("data", (data) => (this.log += data));
    const lines = createInterface({ input: /** @type {any} */ (child.stdout) });
    const ready = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the hub was not ready\n${this.log}`)), START_LIMIT_MS);
      lines.once("line", (line) => (clearTimeout(timer), resolve(JSON.parse(line))));
      child.once("error", (error) => (clearTimeout(timer), reject(error)));
      child.once("exit", (code) => (clearTimeout(timer), reject(new Error(`the hub ended with ${code}\n${this.log}`))));
    });
    this.http = ready.http;
    this.mqtt = ready.mqtt;
  }

  get url() {
    return `http://${this.http}/`;
  }

  /** @param {NodeJS.Signals} [signal] */
  async kill(signal = "SIGKILL") {
    const child = this.process;
    this.process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const over = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    await over;
    clearTimeout(timer);
  }

  /** A stock MQTT client that keeps what it hears. */
  async client() {
    const client = await mqtt.connectAsync(`mqtt://${this.mqtt}`, { reconnectPeriod: 200, clientId: `story-${this.#clients.length}` });
    this.#clients.push(client);
    /** @type {Map<string, string>} */
    const latest = new Map();
    /** @type {{topic: string, text: string}[]} */
    const heard = [];
    client.on("message", (topic, payload) => {
      latest.set(topic, payload.toString());
      heard.push({ topic, text: payload.toString() });
    });
    await client.subscribeAsync("lockstep/#", { qos: 1 });
    return { client, latest, heard, json: (/** @type {string} */ topic) => JSON.parse(latest.get(topic) ?? "null"), set: (/** @type {string} */ thing, /** @type {string|number} */ value) => client.publishAsync(`lockstep/main/${thing}/set`, String(value), { qos: 1 }) };
  }

  async end() {
    hubs.delete(this);
    for (const client of this.#clients) client.end(true);
    await this.kill("SIGTERM");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
