// @ts-check
/** client.js alone, in Node against a real hub: the same file that every hub serves to other people's pages. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { LockstepClient, LockstepError } from "../../../web/js/client.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {LockstepClient[]} */ const open = [];
before(async () => void (hub = await Hub.start()));
after(async () => {
  for (const client of open) client.close();
  await hub?.end();
});
const SLIDER = "lockstep/main/slider1";

async function connected() {
  /** @type {any[]} */
  const sockets = [];
  class Recorded extends WebSocket {
    /** @param {string} url @param {string} protocol */
    constructor(url, protocol) {
      super(url, protocol);
      /** @type {any[]} */
      this.frames = [];
      this.on("message", (data) => this.frames.push(JSON.parse(data.toString())));
      sockets.push(this);
    }
  }
  const client = new LockstepClient({ url: hub.url, WebSocket: Recorded }).connect();
  open.push(client);
  await eventually("live", () => client.status.state, (state) => state === "live");
  return { client, sockets };
}

test("a publish resolves with its place in the order, a refused one rejects with the code", async () => {
  const { client } = await connected();
  /** @type {any[]} */
  const heard = [];
  client.subscribe(`${SLIDER}/#`, (message) => heard.push(message));
  await eventually("a snapshot", () => client.value(`${SLIDER}/state`));
  const { seq } = await client.publish(`${SLIDER}/set`, { value: 12 });
  const state = await eventually("the state", () => client.value(`${SLIDER}/state`), (m) => m?.payload.value === 12);
  assert.ok(state && state.seq <= seq);
  await assert.rejects(client.publish(`${SLIDER}/set`, { value: 1e9 }), (error) => error instanceof LockstepError && error.code === "out_of_range");
  const event = await eventually("the rejection is an event too", () => heard.find((m) => m.topic === `${SLIDER}/rejected`));
  assert.equal(event.retain, false);
  assert.equal(client.value(`${SLIDER}/rejected`), null);
});

test("a cut connection is resumed with what changed and nothing else", async () => {
  const [{ client, sockets }, { client: other }] = [await connected(), await connected()];
  client.subscribe("lockstep/#");
  await eventually("a snapshot", () => client.value(`${SLIDER}/state`));
  const before = client.values().length;
  sockets[0].terminate();
  await eventually("lost", () => client.status.state, (state) => state !== "live");
  await other.publish(`${SLIDER}/set`, { value: 77 });
  await eventually("the change is here", () => client.value(`${SLIDER}/state`)?.payload.value, (value) => value === 77);
  const snap = await eventually("a resumed snapshot", () => sockets.at(-1).frames.find((/** @type {any} */ f) => f.type === "snap"));
  assert.equal(snap.resumed, true);
  assert.ok(snap.topics.length < before, `${snap.topics.length} of ${before} topics came again`);
  assert.equal(client.values().length, before);
});

test("publishing without a connection fails at once, and under one that breaks it does not hang", async () => {
  const { client, sockets } = await connected();
  const sent = client.publish(`${SLIDER}/set`, { value: 5 });
  sockets[0].terminate();
  await assert.rejects(sent, (error) => error instanceof LockstepError && error.code === "disconnected");
  await assert.rejects(client.publish(`${SLIDER}/set`, { value: 6 }), (error) => error instanceof LockstepError && error.code === "offline");
});

test("what is no longer wanted is forgotten and no longer sent", async () => {
  const { client, sockets } = await connected();
  const stop = client.subscribe("lockstep/main/#");
  const stopHub = client.subscribe("lockstep/hub/#");
  await eventually("both snapshots", () => client.value("lockstep/hub/info") && client.value(`${SLIDER}/state`));
  stop();
  assert.equal(client.value(`${SLIDER}/state`), null);
  assert.ok(client.value("lockstep/hub/info"));
  const { seq } = await client.publish(`${SLIDER}/set`, { value: 8 });
  await client.publish("elsewhere/x", "1");
  assert.ok(!sockets[0].frames.some((/** @type {any} */ f) => f.type === "msg" && f.topic.startsWith("lockstep/main/slider1") && f.seq <= seq && f.seq > seq - 2));
  stopHub();
});

test("what a socket has asked for already is not asked for again, and ended where it is not wanted", async () => {
  const wanted = ["lockstep/main/#", "lockstep/hub/#"];
  for (const asked of [wanted, ["lockstep/elsewhere/#", "lockstep/hub/#"]]) {
    const early = new WebSocket(hub.url.replace("http", "ws") + "ws", "lockstep.v1");
    /** @type {any[]} */
    const heard = [];
    early.onmessage = (event) => heard.push(event);
    await eventually("the greeting", () => heard.length);
    early.send(JSON.stringify({ type: "sub", id: "first", filters: asked }));
    await eventually("the answer", () => heard.find((event) => JSON.parse(String(event.data)).last));
    /** @type {any[]} */
    const sent = [];
    const send = early.send.bind(early);
    early.send = (/** @type {any} */ text) => (sent.push(JSON.parse(text)), send(text));
    class Early extends WebSocket {
      /** @param {string} url @param {string} protocol */
      constructor(url, protocol) {
        if (early.onmessage === null) {
          super(url, protocol);
          return;
        }
        queueMicrotask(() => heard.splice(0).forEach((event) => early.onmessage?.(event)));
        return early;
      }
    }
    const client = new LockstepClient({ url: hub.url, WebSocket: Early, asked: { id: "first", filters: asked } });
    open.push(client);
    const stop = client.on("hello", () => (stop(), client.subscribe(wanted)));
    client.connect();
    await eventually("the room", () => client.value(`${SLIDER}/state`));
    assert.deepEqual(sent.filter(({ type }) => type === "sub").map(({ filters }) => filters), asked === wanted ? [] : [wanted]);
    assert.deepEqual(sent.filter(({ type }) => type === "unsub").map(({ filters }) => filters), asked === wanted ? [] : [["lockstep/elsewhere/#"]]);
    await client.publish(`${SLIDER}/set`, { value: asked === wanted ? 31 : 32 });
    await eventually("live values", () => client.value(`${SLIDER}/state`)?.payload.value, (value) => value === (asked === wanted ? 31 : 32));
    early.close();
    await eventually("lost", () => client.status.state, (state) => state !== "live");
    early.onmessage = null;
    await eventually("back, and asked anew", () => client.status.state === "live" && client.value(`${SLIDER}/state`));
  }
});
