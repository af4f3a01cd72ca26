// @ts-check
/** A browser that was away: a minute without a network, and a hub that was started anew. What it asks for and gets is looked at. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";
import { cable } from "./proxy.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

const AWAY_MS = 60_000;

/** Every frame of the page's WebSockets from now on. @param {import("playwright-core").Page} page */
function frames(page) {
  /** @type {{sent: any[], got: any[]}} */
  const all = { sent: [], got: [] };
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => all.sent.push(JSON.parse(String(payload))));
    socket.on("framereceived", ({ payload }) => all.got.push(JSON.parse(String(payload))));
  });
  return all;
}

const transport = (/** @type {import("playwright-core").Page} */ page) => page.evaluate(() => document.documentElement.dataset.link);

test("a minute without a network: the page says so, and comes back with what changed and nothing else", async () => {
  const [net, desk] = await Promise.all([cable(hub), hub.client()]);
  await Promise.all(Array.from({ length: 50 }, (_, i) => desk.client.publishAsync(`lockstep/device/d${i}/info`, `{"name":"Box ${i}"}`, { qos: 1, retain: true })));
  const a = await tab(browser, net.url);
  await a.live();
  await desk.set("slider1", 21);
  await a.shows("slider1", "21");
  const known = frames(a.page);
  const pulledAt = Date.now();
  net.pull();
  await a.page.locator(".banner", { hasText: "connection to the hub is gone" }).waitFor({ timeout: 20_000 });
  await desk.set("slider1", 22);
  await desk.set("slider1", 77);
  await new Promise((resolve) => setTimeout(resolve, AWAY_MS - (Date.now() - pulledAt)));
  net.plug();
  await eventually("the page is live again", () => transport(a.page), (link) => link === "live", 30_000);
  await a.shows("slider1", "77");
  const snaps = known.got.filter((frame) => frame.type === "snap");
  assert.ok(known.sent.some((frame) => frame.type === "sub" && frame.boot && frame.seq > 0), JSON.stringify(known.sent));
  assert.ok(snaps.length > 0 && snaps.every((frame) => frame.resumed), JSON.stringify(snaps.map(({ topics, ...rest }) => rest)));
  const topics = snaps.flatMap((frame) => frame.topics.map((/** @type {any} */ entry) => entry.topic)).sort();
  const changed = ["lockstep/main/people", "lockstep/main/slider1/state", "lockstep/main/slider1/value"];
  assert.deepEqual(topics.filter((topic) => !changed.includes(topic)), [], "topics came again that had not changed");
  assert.ok(topics.includes("lockstep/main/slider1/state"));
  await a.slider("slider1").focus();
  await a.page.keyboard.press("Home");
  await a.shows("slider1", "0");
  await a.close();
  await net.close();
});

test("a hub that was started anew has another boot id, and the page takes everything anew", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await desk.set("slider2", 31);
  await a.shows("slider2", "31");
  const known = frames(a.page);
  const boot = desk.json("lockstep/hub/info").boot;
  await hub.kill("SIGKILL");
  await hub.start();
  await a.live();
  const hello = await eventually("a greeting", () => known.got.find((frame) => frame.type === "hello"));
  assert.notEqual(hello.boot, boot);
  const last = await eventually("a whole snapshot", () => known.got.find((frame) => frame.type === "snap" && frame.last));
  assert.equal(last.resumed, false);
  assert.ok(known.sent.filter((frame) => frame.type === "sub").every((frame) => frame.seq === undefined), "a place in the old order was asked for");
  await a.shows("slider2", "31");
  await a.slider("slider2").focus();
  await a.page.keyboard.press("Home");
  await a.shows("slider2", "0");
  await a.close();
});
