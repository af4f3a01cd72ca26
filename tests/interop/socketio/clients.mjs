// The tutorials' client libraries, one way to use them all: connect, remember what came, ask for it.

import { createRequire } from "node:module";

import { eventually } from "./check.mjs";

const require = createRequire(import.meta.url);

/** The versions that the tutorials were written with. */
export const VERSIONS = ["2", "3", "4"];

/** How a client may get through: long-polling, long-polling that is upgraded, WebSocket from the start. */
export const WAYS = ["polling", "upgrade", "websocket"];

const TRANSPORTS = { polling: ["polling"], upgrade: undefined, websocket: ["websocket"] };

/** Every event that the hub sends. */
const EVENTS = ["timer", "after connect", "update value", "json", "rejected"];

/** Every version by every way. */
export const ALL = VERSIONS.flatMap((version) => WAYS.map((way) => ({ version, way, name: `v${version}-${way}` })));

/**
 * A client that is connected, and remembers in order what it was told.
 * @param {{version: string, way: string}} kind
 * @param {string} url
 * @param {string | undefined} room
 */
export async function connect({ version, way }, url, room) {
  const client = open({ version, way }, url, room);
  await eventually(`v${version} by ${way} connects`, () => client.socket.connected || client.failed, () => client.failures);
  if (client.failed) throw new Error(`v${version} by ${way} does not connect: ${client.failures}`);
  if (way === "upgrade") {
    await eventually("the upgrade", () => client.transport() === "websocket", () => client.transport());
  }
  return client;
}

/**
 * A client that tries to connect, once.
 * @param {{version: string, way: string}} kind
 * @param {string} url
 * @param {string | undefined} room
 */
export function open({ version, way }, url, room) {
  const library = require(`socket.io-client-${version}`);
  const io = library.io ?? library.default ?? library;
  const query = room === undefined ? {} : { room };
  const transports = TRANSPORTS[way];
  const options = { forceNew: true, reconnection: false, query, ...(transports ? { transports } : {}) };
  const socket = io(url, options);
  const client = {
    socket,
    failed: false,
    failures: /** @type {string[]} */ ([]),
    /** What came, in order. */
    seen: /** @type {{event: string, data: any, at: number}[]} */ ([]),
    disconnects: /** @type {string[]} */ ([]),
    /** @param {string} event */
    all(event) {
      return this.seen.filter((one) => one.event === event).map((one) => one.data);
    },
    /** @param {string} event */
    last(event) {
      return this.all(event).at(-1);
    },
    /**
     * Waits for what comes from now on (or after `from`).
     * @param {string} event
     * @param {(data: any) => boolean} fits
     */
    async next(event, fits = () => true, from = this.seen.length) {
      const since = () => this.seen.slice(from).filter((one) => one.event === event).map((one) => one.data);
      return await eventually(`${event} at v${version} by ${way}`, () => since().find(fits), () => this.seen.slice(from));
    },
    emit(...args) {
      socket.emit(...args);
    },
    transport() {
      return socket.io.engine?.transport?.name;
    },
    close() {
      socket.close();
    },
  };
  const fail = (error) => {
    client.failed = true;
    client.failures.push(String(error?.message ?? error));
  };
  // Before 3.0 a refusal by the server is an `error`, later a `connect_error`.
  for (const event of ["connect_error", "error"]) socket.on(event, fail);
  socket.on("disconnect", (reason) => client.disconnects.push(reason));
  for (const event of EVENTS) {
    socket.on(event, (data) => client.seen.push({ event, data, at: Date.now() }));
  }
  return client;
}
