// @ts-check
/** Wall, settings, languages, the topic explorer, the generic card, the installable page. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { accessible, fits, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

test("the wall shows one fruit as large as the window, and lets one out again", async () => {
  const desk = await hub.client();
  await desk.set("pomodoro", "start");
  const a = await tab(browser, `${hub.url}?view=wall`, { viewport: { width: 1920, height: 1080 }, colorScheme: "dark" });
  await a.says("Work");
  const box = await a.page.locator("lockstep-tomato").boundingBox();
  assert.ok(box && box.height > 700, `the fruit is ${box?.height} px high`);
  const [high, seen] = await a.page.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
  assert.ok(high <= seen, "nothing is below the edge");
  await accessible(a.page, "wall");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}wall.png` });
  await a.page.keyboard.press("Escape");
  await a.button("reset").waitFor();
  await a.button("reset").click();
  await a.says("Press Me!");
  await a.close();
});

test("an alarm asks for a first touch, then sounds until somebody acknowledges; mute stays muted", async () => {
  const desk = await hub.client();
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const made = OscillatorNode.prototype.start;
    /** @type {any} */ (window).tones = 0;
    OscillatorNode.prototype.start = function (...args) {
      /** @type {any} */ (window).tones += 1;
      return made.apply(this, /** @type {any} */ (args));
    };
  });
  await page.goto(hub.url);
  await desk.set("pomodoro", "start");
  await desk.set("pomodoro", "skip");
  await page.locator(".sound-hint").waitFor();
  const tones = () => page.evaluate(() => /** @type {any} */ (window).tones);
  assert.equal(await tones(), 0);
  await page.locator("main").click({ position: { x: 3, y: 3 } });
  await page.locator(".sound-hint").waitFor({ state: "hidden" });
  const some = await eventually("it sounds after the touch", tones, (n) => n > 0);
  await eventually("and again", tones, (n) => n > some);
  assert.match(String(await page.locator('link[rel="icon"]').getAttribute("href")), /alarm/);
  await desk.set("pomodoro", "press");
  await eventually("the icon follows", () => page.locator('link[rel="icon"]').getAttribute("href"), (href) => /short_break/.test(href ?? ""));
  await page.getByRole("button", { name: "Mute the alarm here" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Let the alarm sound here" }).waitFor();
  await desk.set("pomodoro", "reset");
  await context.close();
});

test("settings: a name that others see, figures of the connection, no axe violation", async () => {
  const desk = await hub.client();
  const a = await tab(browser, hub.url);
  await a.live();
  await a.page.getByRole("button", { name: "Settings" }).click();
  const dialog = a.page.getByRole("dialog", { name: "Settings" });
  await dialog.getByLabel("Your name here").fill("Anna");
  await dialog.getByLabel("Your name here").press("Tab");
  await eventually("latency is measured", () => dialog.locator(".facts").textContent(), (text) => /\d+ ms/.test(text ?? "") && /WebSocket/.test(text ?? ""));
  await accessible(a.page, "settings");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}settings.png` });
  await dialog.getByRole("button", { name: "Close" }).click();
  await a.button("start").click();
  await eventually("by whom", () => desk.json("lockstep/main/pomodoro/state")?.by, (by) => by === "web:Anna" || by === "web:anna");
  await eventually("Anna is here", () => desk.json("lockstep/main/people")?.people.map((/** @type {any} */ p) => p.name), (names) => names?.includes("Anna"));
  await a.page.locator(".person", { hasText: "Anna" }).waitFor();
  const b = await tab(browser, hub.url);
  await eventually("others read who did it", () => b.page.locator(".pomodoro-did").textContent(), (text) => /Started by anna/i.test(text ?? ""));
  await b.button("reset").click();
  await Promise.all([a.close(), b.close()]);
});

test("the page speaks the browser's language, and the chosen one", async () => {
  const a = await tab(browser, hub.url, { locale: "de-CH" });
  await a.says("Drück mich!");
  assert.equal(await a.page.evaluate(() => document.documentElement.lang), "de");
  await a.live();
  await a.button("stop").click();
  await a.page.getByText("Der Timer steht schon").waitFor();
  await accessible(a.page, "Deutsch");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}german.png` });
  await a.page.setViewportSize({ width: 320, height: 640 });
  await fits(a.page);
  await a.page.getByRole("button", { name: "Für diesen Browser" }).click();
  await a.page.getByLabel("Sprache").selectOption("en");
  await a.says("Press Me!");
  await a.page.reload();
  await a.says("Press Me!");
  await a.close();
});

test("the explorer: a first paint within a second with ten thousand topics, values live, smooth scrolling", async () => {
  const desk = await hub.client();
  const all = [];
  for (let i = 0; i < 10_000; i++) all.push(desk.client.publishAsync(`home/floor${i % 10}/room${i % 100}/sensor${i}`, `${i}`, { retain: true, qos: 0 }));
  await Promise.all(all);
  await desk.client.publishAsync("home/done", "yes", { retain: true, qos: 1 });
  const a = await tab(browser, `${hub.url}?view=topics`, { wait: "lockstep-topics" });
  await a.page.locator(".topic-row").first().waitFor();
  const painted = await a.page.evaluate(() => performance.now());
  assert.ok(painted < 2_000, `rows after ${Math.round(painted)} ms`);
  await eventually("all of them are there", () => a.page.locator(".topic-head p").textContent(), (text) => Number((text ?? "").replace(/\D/g, "")) > 10_000, 30_000);
  assert.ok((await a.page.locator(".topic-row").count()) < 80, "only the rows in sight are elements");

  const frames = await a.page.evaluate(
    () =>
      new Promise((resolve) => {
        const list = /** @type {HTMLElement} */ (document.querySelector(".topic-list"));
        let count = 0;
        const began = performance.now();
        const step = () => {
          count += 1;
          list.scrollTop += 300;
          if (performance.now() - began < 1_000) requestAnimationFrame(step);
          else resolve(count);
        };
        requestAnimationFrame(step);
      }),
  );
  console.log(`explorer: first rows after ${Math.round(painted)} ms, ${frames} frames in a second of scrolling`);
  assert.ok(frames > 20, `${frames} frames in a second`);

  await a.page.getByRole("searchbox").fill("sensor4242");
  await a.page.locator(".topic-row", { hasText: "sensor4242" }).click();
  await desk.client.publishAsync("home/floor2/room42/sensor4242", '{"t":21.5}', { retain: true, qos: 1 });
  await eventually("the value is live", () => a.page.locator(".topic-payload").textContent(), (text) => /"t": 21.5/.test(text ?? ""));
  await a.page.getByLabel("Show as").selectOption("hex");
  assert.match(String(await a.page.locator(".topic-payload").textContent()), /^7b 22 74/);
  await accessible(a.page, "topics");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}topics.png` });
  await a.page.locator(".topic-detail").getByRole("button", { name: "Clear" }).click();
  await a.page.getByRole("dialog").getByRole("button", { name: "Clear" }).click();
  await a.page.getByText("This topic has no retained value any more.").waitFor();

  await a.page.locator("#pub-topic").fill("kitchen/light");
  await a.page.locator("#pub-text").fill("on");
  const heard = new Promise((resolve) => desk.client.on("message", (topic, payload) => topic === "kitchen/light" && resolve(payload.toString())));
  await desk.client.subscribeAsync("kitchen/#");
  await a.page.locator(".topic-form").getByRole("button", { name: "Publish" }).click();
  assert.equal(await heard, "on");
  await a.page.locator("#pub-topic").fill("lockstep/mian/slider1/set");
  await a.page.locator(".topic-form").getByRole("button", { name: "Publish" }).click();
  await a.alert("unknown_room").waitFor();
  await a.page.setViewportSize({ width: 320, height: 640 });
  await fits(a.page);
  await a.close();
});

test("a kind that the page does not know appears by its controls", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await a.page.evaluate(() => {
    const card = document.createElement("lockstep-thing");
    card.setAttribute("thing", "pomodoro");
    card.className = "card";
    document.querySelector(".side")?.append(card);
  });
  const card = a.page.locator("lockstep-thing");
  await card.getByRole("button", { name: "Start", exact: true }).click();
  await eventually("its presses are commands", () => desk.json("lockstep/main/pomodoro/state")?.phase, (phase) => phase === "work");
  await card.getByLabel("Work", { exact: true }).fill("1234");
  await card.getByLabel("Work", { exact: true }).press("Enter");
  await eventually("its numbers are set", () => desk.json("lockstep/main/pomodoro/state")?.work_duration, (s) => s === 1234);
  await card.getByLabel("Start by itself").check();
  await eventually("its switches too", () => desk.json("lockstep/main/pomodoro/state")?.auto_start);
  await accessible(a.page, "generic card");
  await desk.set("pomodoro", '{"action":"setup","work_duration":1500,"auto_start":false}');
  await a.close();
});

/** A few, for the machine does other things too; the median is told. */
const PICTURES = 9;

/**
 * Milliseconds from the start of the navigation until the browser has presented live state, in a profile that has never seen the page; and,
 * as what the browser itself takes, until it has presented a file of text from the same hub.
 * @param {string} url
 */
async function firstPicture(url) {
  const seen = { bare: /** @type {number[]} */ ([]), pictured: /** @type {number[]} */ ([]) };
  for (let i = 0; i < PICTURES; i++) {
    for (const [kind, path] of /** @type {const} */ ([["bare", "js/dom.js"], ["pictured", ""]])) {
      const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 } });
      const page = await context.newPage();
      // Nobody looks into the page before it is there, which would hold it up: it asks for the rest of itself behind the first picture.
      const cdp = await context.newCDPSession(page);
      await cdp.send("Page.enable");
      await cdp.send("Page.setLifecycleEventsEnabled", { enabled: true });
      const there = kind === "pictured" ? page.waitForRequest(/rest\.js$/) : new Promise((resolve) => cdp.on("Page.lifecycleEvent", ({ name }) => name === "firstContentfulPaint" && resolve(name)));
      await page.goto(url + path);
      await there;
      seen[kind].push(await page.evaluate(kind === "bare" ? firstPaint : timePresented));
      await context.close();
    }
  }
  const middle = (/** @type {number[]} */ all) => all.sort((a, b) => a - b)[PICTURES >> 1];
  return { bare: middle(seen.bare), pictured: middle(seen.pictured), all: seen.pictured.map(Math.round).join(" ") };
}

/** Runs in the page: the Paint Timing API. @returns {Promise<number>} */
function firstPaint() {
  return new Promise((resolve) => new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").forEach((entry) => resolve(entry.startTime))).observe({ type: "paint", buffered: true }));
}

/** Runs in the page: the Element Timing API, which tells when the time in the fruit was first to be seen. @returns {Promise<number>} */
function timePresented() {
  return new Promise((resolve) => new PerformanceObserver((list) => resolve(/** @type {any} */ (list.getEntries()[0]).renderTime)).observe({ type: "element", buffered: true }));
}

test("installable, small, and honest when the hub is away", async () => {
  const own = await Hub.start();
  const a = await tab(browser, own.url);
  const { bare, pictured, all } = await firstPicture(own.url);
  console.log(`page: live state to be seen after ${Math.round(pictured)} ms, a page without anything after ${Math.round(bare)} ms (medians of ${PICTURES}; ${all})`);
  assert.ok(pictured < 1_000, `${pictured} ms`);
  const manifest = await (await fetch(`${own.url}manifest.webmanifest`)).json();
  for (const { src, sizes, type } of manifest.icons) {
    const answer = await fetch(new URL(src, own.url));
    assert.equal(answer.headers.get("content-type"), type);
    const image = new DataView(await answer.arrayBuffer());
    if (type === "image/png") assert.equal(`${image.getUint32(16)}x${image.getUint32(20)}`, sizes);
  }
  await a.page.evaluate(() => navigator.serviceWorker.ready); // the last that is loaded
  const cdp = await a.context.newCDPSession(a.page);
  const { errors } = await cdp.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const names = await a.page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !name.includes("/ws")));
  let bytes = gzipSync(await (await fetch(own.url)).text()).length;
  for (const name of new Set(names)) bytes += gzipSync(Buffer.from(await (await fetch(name)).arrayBuffer())).length;
  console.log(`page: ${names.length} files, ${(bytes / 1000).toFixed(1)} kB compressed`);
  assert.ok(bytes <= 100_000, `${bytes} bytes compressed`);
  await a.page.evaluate(() => navigator.serviceWorker.ready);
  await eventually("the worker rules the page", () => a.page.evaluate(() => Boolean(navigator.serviceWorker.controller)));
  await own.kill("SIGKILL");
  await a.page.reload();
  await a.page.getByRole("heading", { name: "The hub cannot be reached" }).waitFor();
  await a.page.screenshot({ animations: "disabled", path: `${OUT}offline.png` });
  await own.start();
  await a.says("Press Me!");
  await a.close();
  await own.end();
});
