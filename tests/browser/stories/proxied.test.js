// @ts-check
/** The dashboard behind other people's proxies: below a prefix, with TLS, and where WebSockets do not pass. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { LockstepClient } from "../../../web/js/client.js";
import { launch, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";
import { reverseProxy } from "./proxy.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start("--set", "http.base_path=/hub"), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

for (const tls of [false, true]) {
  for (const strip of [false, true]) {
    test(`below /hub/, which the proxy ${strip ? "takes off" : "passes on"}, ${tls ? "with" : "without"} TLS`, async () => {
      const [proxy, desk] = await Promise.all([reverseProxy(hub, { tls, strip, prefix: "/hub" }), hub.client()]);
      // A service worker takes no certificate that nobody trusts.
      const a = await tab(browser, proxy.url, { ignoreHTTPSErrors: true, serviceWorkers: tls ? "block" : "allow" });
      const sockets = new Promise((resolve) => a.page.on("websocket", resolve));
      await a.page.reload();
      await a.live();
      const socket = /** @type {import("playwright-core").WebSocket} */ (await sockets);
      assert.equal(socket.url(), `${proxy.url.replace("http", "ws")}ws`);
      const value = 10 + 2 * Number(tls) + Number(strip);
      await desk.set("slider1", value);
      await a.shows("slider1", String(value));
      await a.slider("slider1").focus();
      await a.page.keyboard.press("End");
      await eventually("the device hears of it", () => desk.latest.get("lockstep/main/slider1/value"), (seen) => seen === "100");
      for (const path of ["api/openapi.json", "api", "client.js", "healthz", "api/v1/rooms/main/things"]) {
        assert.equal(await a.page.evaluate((at) => fetch(at).then((answer) => answer.status), path), 200, path);
      }
      await a.close();
      await proxy.close();
    });
  }
}

test("where upgrades are refused the dashboard works by Server-Sent Events and POST, sliders too", async () => {
  const [proxy, desk] = await Promise.all([reverseProxy(hub, { upgrades: false, prefix: "/hub" }), hub.client()]);
  const a = await tab(browser, proxy.url, { wait: "" });
  /** @type {string[]} */
  const asked = [];
  a.page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await a.live();
  await a.says("Press Me!");
  assert.ok(proxy.refused() >= 2, "it did not try a WebSocket twice");
  assert.ok(asked.includes("GET /hub/api/v1/stream"), String(asked));
  await desk.set("slider1", 33);
  await a.shows("slider1", "33");
  await a.slider("slider1").focus();
  await a.page.keyboard.press("ArrowRight");
  await eventually("the device hears of the slider", () => desk.latest.get("lockstep/main/slider1/value"), (seen) => seen === "34");
  const box = await a.slider("slider2").boundingBox();
  assert.ok(box);
  await a.page.mouse.move(box.x + 5, box.y + box.height / 2);
  await a.page.mouse.down();
  for (let step = 1; step <= 20; step++) await a.page.mouse.move(box.x + (box.width * step) / 20, box.y + box.height / 2);
  await a.page.mouse.up();
  await eventually("a drag ends where the finger left", () => desk.latest.get("lockstep/main/slider2/value"), (seen) => seen === "100");
  await a.shows("slider2", "100");
  await a.page.locator(".tomato").click();
  await a.says("Work");
  await a.button("stop").click();
  await eventually("the timer is paused", () => desk.json("lockstep/main/pomodoro/state")?.paused);
  assert.ok(asked.includes("POST /hub/api/v1/publish"), String(asked));
  // A rejection comes back over the POST.
  await a.button("stop").click();
  await a.alert("already_stopped").waitFor();
  // The stream breaks, and is taken up again.
  await hub.kill("SIGKILL");
  await eventually("the page says so", () => a.page.evaluate(() => document.documentElement.dataset.link), (link) => link !== "live");
  await hub.start();
  await eventually("it is back", () => a.page.evaluate(() => document.documentElement.dataset.link), (link) => link === "live", 30_000);
  await a.shows("slider1", "34");
  await a.context.close();
  await proxy.close();
});

test("a client on Server-Sent Events goes back to WebSocket once that passes again", async () => {
  const proxy = await reverseProxy(hub, { upgrades: false, prefix: "/hub" });
  const { EventSource } = await import("./event-source.js");
  const client = new LockstepClient({ url: proxy.url, WebSocket, EventSource, webSocketAgainMs: 1_500 });
  client.subscribe("lockstep/main/#");
  client.connect();
  await eventually("live by events", () => client.status, ({ state, transport }) => state === "live" && transport === "sse");
  await eventually("a value", () => client.value("lockstep/main/slider1/state"));
  const refused = proxy.refused();
  await eventually("it tries again", () => proxy.refused(), (now) => now > refused);
  assert.equal(client.status.transport, "sse");
  proxy.upgrades(true);
  await eventually("live by WebSocket", () => client.status, ({ state, transport }) => state === "live" && transport === "websocket");
  await client.publish("lockstep/main/slider1/set", 55);
  await eventually("the value", () => client.value("lockstep/main/slider1/state")?.payload.value, (value) => value === 55);
  client.close();
  await proxy.close();
});
