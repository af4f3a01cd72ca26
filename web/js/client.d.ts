/** Types of Lockstep's client; the words are explained in client.js and in the hub's documentation. */

/** A retained value or an event. */
export interface Message {
  topic: string;
  /** Parsed JSON when `format` is "json", else a string (base64 when `format` is "base64"). */
  payload: any;
  format: "json" | "text" | "base64";
  /** True: the topic's latest value. False: an event, never stored. */
  retain: boolean;
  /** Place in the hub's one order. */
  seq: number;
  /** The retained value was cleared. */
  deleted: boolean;
  /** True: known already or out of a snapshot; false: happened just now. */
  replay: boolean;
}

export interface Status {
  state: "closed" | "connecting" | "live" | "waiting";
  transport: "websocket" | "sse" | null;
  /** Tries since the last good connection. */
  attempt: number;
  /** Local time of the next try, Unix ms; null unless waiting. */
  retryAt: number | null;
  /** Local time at which `state` began, Unix ms. */
  since: number;
}

export interface Hello {
  boot: string;
  seq: number;
  now: number;
  hub: { name: string; version: string; root: string };
  you: { by: string; name: string; role: "admin" | "member" | "viewer" | "device"; room?: string };
  limits: { frame_bytes_max: number; filters_max: number; publishes_per_second_max: number; slider_interval_ms: number };
}

export interface ClientOptions {
  /** The page below which the hub serves, such as "http://hub.local:8080/". Default: this document's base. */
  url: string;
  WebSocket: any;
  EventSource: any;
  fetch: typeof fetch;
  random: () => number;
  /** How long Server-Sent Events serve before WebSocket is tried again, in milliseconds; 300,000 unless given. */
  webSocketAgainMs: number;
  /** What the first WebSocket that is made has asked for already, in the client's place, once greeted. */
  asked: { id: string; filters: string[] } | null;
}

export class LockstepError extends Error {
  constructor(code: string, message: string);
  /** The hub's stable rejection code, or "offline", "disconnected", "timeout". */
  code: string;
}

export class HubClock {
  constructor(wall?: () => number, mono?: () => number);
  sample(hubNow: number, sentAt: number | null): void;
  /** Milliseconds that the hub is ahead of this machine. */
  readonly offsetMs: number;
  /** Latest round trip. */
  readonly latencyMs: number | null;
  now(): number;
  stepped(): boolean;
}

export class Values {
  topics: Map<string, Message>;
  expect(id: string, filters: string[]): void;
  forgo(id: string): void;
  abandon(): void;
  restart(): void;
  snap(frame: any): Message[];
  message(frame: any): Message | null;
}

export class LockstepClient {
  constructor(options?: Partial<ClientOptions>);
  readonly base: string;
  readonly clock: HubClock;
  readonly status: Status;
  readonly hello: Hello | null;
  connect(): this;
  close(): void;
  /** Tries at once instead of waiting out the back-off. */
  retry(): void;
  subscribe(filters: string | string[], take?: (message: Message) => void): () => void;
  watch(filters: string | string[] | null, take: (message: Message) => void): () => void;
  value(topic: string): Message | null;
  values(filters?: string | string[] | null): Message[];
  publish(topic: string, payload: any, options?: { retain?: boolean; format?: string; timeoutMs?: number }): Promise<{ seq: number }>;
  here(room: string, name: string): void;
  on(event: "status", handle: (status: Status) => void): () => void;
  on(event: "hello", handle: (hello: Hello) => void): () => void;
  on(event: "clock", handle: (clock: HubClock) => void): () => void;
  on(event: "snap", handle: (detail: { filters: string[]; complete: boolean }) => void): () => void;
  /** A filter that the hub does not let one subscribe to. */
  on(event: "refused", handle: (refused: { filter: string; code: string; message: string }) => void): () => void;
  on(event: "error", handle: (error: { code: string; message: string }) => void): () => void;
  /** The hub's clock now, Unix ms. */
  now(): number;
}

export function matches(filter: string, topic: string): boolean;
export function backoffMs(attempt: number, random?: () => number): number;
