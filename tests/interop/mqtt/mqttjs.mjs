// mqtt.js: both versions over TCP and WebSocket, three qualities of service.
import assert from 'node:assert/strict';
import mqtt from 'mqtt';

const LIMIT_MS = 10_000;
const limited = (what, promise) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: not within ${LIMIT_MS} ms`)), LIMIT_MS).unref()),
  ]);

class Client {
  messages = [];
  waiting = [];
  static async connect(url, clientId, protocolVersion, more = {}) {
    const client = new Client();
    client.inner = await limited('connect', mqtt.connectAsync(url, { clientId, protocolVersion, reconnectPeriod: 0, ...more }));
    client.inner.on('message', (topic, payload, packet) => {
      const message = { topic, text: payload.toString(), qos: packet.qos, retain: packet.retain, properties: packet.properties };
      const next = client.waiting.shift();
      if (next) next(message);
      else client.messages.push(message);
    });
    return client;
  }
  message() {
    const ready = this.messages.shift();
    return ready ? Promise.resolve(ready) : limited('a message', new Promise((resolve) => this.waiting.push(resolve)));
  }
  subscribe = (topic, options) => limited('subscribe', this.inner.subscribeAsync(topic, options));
  publish = (topic, text, options) => limited('publish', this.inner.publishAsync(topic, text, options));
  close = () => limited('close', this.inner.endAsync());
}

const urls = [`mqtt://127.0.0.1:${process.env.MQTT_PORT}`, `ws://${process.env.HTTP}/mqtt`];
for (const url of urls) {
  for (const version of [4, 5]) {
    for (const qos of [0, 1, 2]) {
      const reader = await Client.connect(url, `js/reader ${version}`, version);
      await reader.subscribe('js/é/+', { qos });
      const writer = await Client.connect(url, `js/writer ${version}`, version);
      const sent = [];
      for (let n = 0; n < 100; n++) sent.push(writer.publish('js/é/x', String(n), { qos }));
      await Promise.all(sent);
      for (let n = 0; n < 100; n++) {
        const { topic, text, qos: got } = await reader.message();
        assert.deepEqual([topic, text, got], ['js/é/x', String(n), qos], `${url} ${version} ${qos}`);
      }
      await limited('unsubscribe', reader.inner.unsubscribeAsync(['js/é/+', 'js/never']));
      await Promise.all([reader.close(), writer.close()]);
    }
    const client = await Client.connect(url, '', version);
    await client.subscribe('lockstep/main/slider2/value', { qos: 1 });
    assert.equal((await client.message()).retain, true);
    const value = String(10 + version);
    await client.publish('lockstep/main/slider2/set', value, { qos: 1 });
    for (;;) if ((await client.message()).text === value) break;
    await client.close();
    await Client.connect(url, 'js/reset', version).then(async (c) => {
      await c.publish('lockstep/main/slider2/set', '0', { qos: 1 });
      await c.close();
    });
  }
}
// A payload that does not fit into one WebSocket frame of the usual size.
const large = 'x'.repeat(300_000);
const client = await Client.connect(urls[1], 'js/large', 5);
await client.subscribe('js/large', { qos: 2 });
await client.publish('js/large', large, { qos: 2 });
assert.equal((await client.message()).text, large);
await client.close();
console.log('mqtt.js works');
process.exit(0);
