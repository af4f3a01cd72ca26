// Two that look on by other protocols: an MQTT client and a browser's WebSocket. They must see the very same changes.

import mqtt from "mqtt";
import WebSocket from "ws";

import { assert, eventually } from "./check.mjs";

/** @param {import("./hub.mjs").Hub} hub */
export async function watch(hub) {
  const byMqtt = await watchByMqtt(hub);
  const byWs = await watchByWs(hub);
  return {
    /** @param {string} topic below `lockstep/`, such as `main/pomodoro/state` */
    state(topic) {
      return byMqtt.states.get(`lockstep/${topic}`);
    },
    /**
     * Every value that a topic had since the start, as both saw it.
     * @param {string} topic
     */
    async history(topic) {
      const full = `lockstep/${topic}`;
      const [one, other] = [() => byMqtt.history(full), () => byWs.history(full)];
      await eventually(
        `MQTT and /ws agree on ${topic}`,
        () => JSON.stringify(one()) === JSON.stringify(other()),
        () => [one(), other()],
      );
      return one();
    },
    /**
     * @param {string} topic
     * @param {(value: any) => boolean} fits
     */
    async until(topic, fits) {
      const full = `lockstep/${topic}`;
      await eventually(`${topic} by MQTT`, () => byMqtt.states.has(full) && fits(byMqtt.states.get(full)),
        () => byMqtt.states.get(full));
      await eventually(`${topic} by /ws`, () => byWs.states.has(full) && fits(byWs.states.get(full)),
        () => byWs.states.get(full));
    },
    /**
     * Sends a command over MQTT, and waits until it is acknowledged.
     * @param {string} topic
     * @param {unknown} command
     */
    async command(topic, command) {
      const payload = typeof command === "string" ? command : JSON.stringify(command);
      await byMqtt.client.publishAsync(`lockstep/${topic}/set`, payload, { qos: 1 });
    },
    async close() {
      byWs.socket.close();
      await byMqtt.client.endAsync();
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof watch>>} Watcher */

function notebook() {
  const states = new Map();
  /** @type {{topic: string, value: any}[]} */
  const notes = [];
  return {
    states,
    /** @param {string} topic */
    note(topic, value) {
      states.set(topic, value);
      notes.push({ topic, value });
    },
    /** Revisions and values only: what a retained replay showed twice counts once. */
    history(topic) {
      const values = notes.filter((note) => note.topic === topic).map((note) => note.value);
      return values.filter((value, n) => n === 0 || JSON.stringify(values[n - 1]) !== JSON.stringify(value));
    },
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function watchByMqtt(hub) {
  const book = notebook();
  const client = await mqtt.connectAsync(hub.mqtt, { protocolVersion: 5, clientId: "watcher" });
  client.on("message", (topic, payload) => book.note(topic, parsed(payload.toString())));
  await client.subscribeAsync("lockstep/#", { qos: 1 });
  return { ...book, client };
}

async function watchByWs(hub) {
  const book = notebook();
  const socket = new WebSocket(hub.ws, "lockstep.v1");
  let snapped = false;
  const note = (entry) => book.note(entry.topic, typeof entry.payload === "string" ? parsed(entry.payload) : entry.payload);
  socket.on("message", (data) => {
    const frame = JSON.parse(data.toString());
    if (frame.type === "hello") socket.send(JSON.stringify({ type: "sub", filters: ["lockstep/#"], id: "all" }));
    if (frame.type === "snap") {
      frame.topics.forEach(note);
      snapped = frame.last;
    }
    if (frame.type === "msg") note(frame);
    assert.notEqual(frame.type, "err", JSON.stringify(frame));
  });
  await eventually("the snapshot by /ws", () => snapped);
  return { ...book, socket };
}
