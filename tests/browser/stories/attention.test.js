// @ts-check
/** Away and back: a laptop that slept, a slow network; and how the page calls somebody who looks elsewhere. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

test("asleep through the end of a phase: on waking the page shows what is, not what was", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await desk.set("pomodoro", '{"action":"setup","work_duration":2}');
  await desk.set("pomodoro", "start");
  await a.says("Work");
  const cdp = await a.context.newCDPSession(a.page);
  await cdp.send("Page.setWebLifecycleState", { state: "frozen" }); // no timer runs and no message is heard, as in a sleeping laptop
  await eventually("the phase ended meanwhile", () => desk.latest.get("lockstep/main/pomodoro/phase"), (phase) => phase === "break_alarm");
  await desk.set("slider1", 33);
  await desk.set("pomodoro", "press");
  await eventually("and somebody went on", () => desk.latest.get("lockstep/main/pomodoro/phase"), (phase) => phase === "short_break");
  await cdp.send("Page.setWebLifecycleState", { state: "active" });
  await a.says("Short Break");
  await a.shows("slider1", "33");
  const left = () => (desk.json("lockstep/main/pomodoro/state").ends_at - Date.now()) / 1000;
  await eventually("and the countdown is right", a.time, (time) => {
    const [minutes, seconds] = String(time).split(":").map(Number);
    return Math.abs(minutes * 60 + seconds - left()) <= 1.5;
  });
  await desk.set("pomodoro", '{"action":"setup","work_duration":1500}');
  await a.close();
});

test("asleep while the hub was restarted: the connection of before is not believed in", async () => {
  const own = await Hub.start();
  const a = await tab(browser, own.url);
  await a.live();
  const cdp = await a.context.newCDPSession(a.page);
  await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
  await own.kill("SIGKILL");
  await own.start();
  const desk = await own.client();
  await desk.set("slider2", 71);
  await cdp.send("Page.setWebLifecycleState", { state: "active" });
  await a.shows("slider2", "71");
  await a.live();
  await a.close();
  await own.end();
});

test("a slow network and a slow machine: the page comes, and the last value of a drag arrives", async () => {
  const desk = await hub.client();
  const a = await tab(browser, "about:blank", { wait: "" });
  const cdp = await a.context.newCDPSession(a.page);
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 20_000 });
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await a.page.goto(hub.url);
  await a.says("Press Me!");
  await a.live();
  const shown = await a.page.evaluate(() => Math.round(performance.getEntriesByName("first-state")[0]?.startTime ?? 0));
  console.log(`slow network (400 ms, 50 kB/s, a quarter of the machine): live state after ${shown} ms`);
  const box = await a.slider("slider1").boundingBox();
  assert.ok(box);
  const y = box.y + box.height / 2;
  await a.page.mouse.move(box.x + 15, y);
  await a.page.mouse.down();
  for (let i = 1; i <= 20; i++) await a.page.mouse.move(box.x + 15 + (i * (box.width - 30)) / 25, y);
  await a.page.mouse.up();
  const last = await a.slider("slider1").inputValue();
  await eventually("the last value is on the hub", () => desk.latest.get("lockstep/main/slider1/value"), (value) => value === last);
  await eventually("nothing is pending", () => a.page.locator("lockstep-slider[data-pending]").count(), (n) => n === 0);
  await a.close();
});

test("somebody who looks elsewhere is called by a notification, which goes when the alarm is acknowledged", async () => {
  const desk = await hub.client();
  const context = await browser.newContext({ locale: "en-GB", permissions: ["notifications"] });
  const page = await context.newPage();
  await page.addInitScript(() => {
    // The system's own notifications cannot be seen from here; what the browser is asked for can.
    const asked = /** @type {any} */ (window).asked = /** @type {string[]} */ ([]);
    class Recorded extends EventTarget {
      static permission = "granted";
      static requestPermission = async () => "granted";
      onclick = null;
      /** @param {string} title @param {NotificationOptions} options */
      constructor(title, options) {
        super();
        asked.push(`${title} | ${options.body}`);
      }
      close() {
        asked.push("closed");
      }
    }
    /** @type {any} */ (window).Notification = Recorded;
    Object.defineProperty(document, "hidden", { get: () => /** @type {any} */ (window).away === true });
  });
  await page.goto(hub.url);
  await page.locator(".tomato-message").waitFor();
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("System notification").check();
  await page.getByRole("dialog", { name: "Settings" }).getByRole("button", { name: "Close" }).click();
  const asked = () => page.evaluate(() => /** @type {any} */ (window).asked);
  const message = page.locator(".tomato-message");
  const says = (/** @type {string} */ text) => eventually(text, () => message.textContent(), (seen) => seen === text);
  await desk.set("pomodoro", "start");
  await says("Work");
  await desk.set("pomodoro", "skip");
  await says("Break time");
  assert.deepEqual(await asked(), [], "who looks at the page is not told twice");
  await desk.set("pomodoro", "reset");
  await desk.set("pomodoro", "start");
  await says("Work");
  await page.evaluate(() => (/** @type {any} */ (window).away = true));
  await desk.set("pomodoro", "skip");
  await eventually("told", asked, (list) => list.length === 1 && list[0] === "Break time | In the room Main");
  await desk.set("pomodoro", "press");
  await eventually("and taken back", asked, (list) => list.at(-1) === "closed");
  await desk.set("pomodoro", "reset");
  await context.close();
});

test("the screen is kept awake on wish, and again after the page was hidden", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const locks = /** @type {any} */ (window).locks = /** @type {any[]} */ ([]);
    Object.defineProperty(navigator, "wakeLock", {
      value: {
        request: async () => {
          const lock = { held: true, onrelease: /** @type {any} */ (null), release: async () => ((lock.held = false), lock.onrelease?.()) };
          locks.push(lock);
          return lock;
        },
      },
    });
  });
  await page.goto(hub.url);
  const held = () => page.evaluate(() => /** @type {any} */ (window).locks.map((/** @type {any} */ lock) => lock.held));
  await page.getByRole("button", { name: "Settings" }).click();
  assert.deepEqual(await held(), []);
  await page.getByLabel("Keep the screen awake").check();
  await eventually("a lock", held, (all) => all.join() === "true");
  await page.evaluate(() => {
    /** @type {any} */ (window).locks[0].release(); // as the browser does when a page is hidden
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await eventually("a new one", held, (all) => all.join() === "false,true");
  await page.reload();
  await eventually("the wish is remembered", held, (all) => all.join() === "true");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByLabel("Keep the screen awake").uncheck();
  await eventually("and let go", held, (all) => all.join() === "false");
  await context.close();
});
