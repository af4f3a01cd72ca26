// @ts-check
/** The first picture, which comes before the page that controls it: what it shows, what becomes of it, and what if the rest does not come. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

/** A tab whose page stays the first picture until it is let on. @param {string} query @param {import("playwright-core").BrowserContextOptions} [options] */
async function held(query, options = {}) {
  const a = await tab(browser, "about:blank", { wait: "", ...options });
  /** @type {() => void} */
  let letOn = () => {};
  const wait = new Promise((resolve) => (letOn = () => resolve(null)));
  await a.page.route("**/js/app.js", async (route) => (await wait, route.continue()));
  await a.page.goto(hub.url + query, { waitUntil: "commit" });
  return { ...a, letOn };
}

test("the picture shows the room's timer as it is, cannot be pressed in vain, and becomes the page in its place", async () => {
  const desk = await hub.client();
  await desk.set("pomodoro", "start");
  await eventually("it runs", () => desk.json("lockstep/main/pomodoro/state")?.phase, (phase) => phase === "work");
  const a = await held("");
  await a.says("Work");
  assert.match(String(await a.time()), /^2[45]:\d\d$/);
  assert.equal(await a.page.locator("lockstep-room").getAttribute("inert"), "");
  assert.equal(await a.page.locator("[data-command]").count(), 0, "nothing else is there yet");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}picture.png` });
  const place = () => a.page.locator("lockstep-tomato").boundingBox();
  const [before, drawn] = [await place(), await a.page.locator("lockstep-tomato").elementHandle()];
  a.letOn();
  await a.live();
  assert.deepEqual(await place(), before, "the fruit stays where it is");
  assert.ok(await a.page.evaluate((fruit) => fruit === document.querySelector("lockstep-tomato"), drawn), "and is the same");
  assert.equal(await a.page.locator("lockstep-room").getAttribute("inert"), null);
  assert.match(await a.page.title(), /Work – Main$/);
  await accessible(a.page, "after the picture");
  await a.button("reset").click();
  await a.says("Press Me!");
  await a.close();
});

test("the picture follows the hub and the clock until the page is there, and the time does not jump then", async () => {
  const desk = await hub.client();
  await desk.set("pomodoro", "start");
  await eventually("it runs", () => desk.json("lockstep/main/pomodoro/state")?.phase, (phase) => phase === "work");
  const a = await held("");
  await a.says("Work");
  const [first, ends] = [await a.time(), desk.json("lockstep/main/pomodoro/state").ends_at];
  await eventually("the clock goes on", () => a.time(), (time) => time !== first);
  await eventually("and on", () => a.time(), (time) => seconds(time) <= seconds(first) - 3);
  // What the page shows at its first stroke, with a greeting that is some seconds old.
  await a.page.evaluate(() => {
    const seen = /** @type {any} */ (window).seen = /** @type {{time: string, at: number}[]} */ ([]);
    const time = /** @type {Element} */ (document.querySelector(".tomato-time"));
    new MutationObserver(() => seen.push({ time: time.textContent ?? "", at: Date.now() })).observe(time, { childList: true, characterData: true, subtree: true });
  });
  a.letOn();
  await a.live();
  const strokes = await a.page.evaluate(() => /** @type {{time: string, at: number}[]} */ (/** @type {any} */ (window).seen));
  for (const { time, at } of strokes.filter(({ time }) => time !== "--:--")) assert.ok(Math.abs(seconds(time) - (ends - at) / 1000) < 1.3, `${time} at ${(ends - at) / 1000} s before the end`);
  await a.close();

  const b = await held("");
  await b.says("Work");
  await desk.set("pomodoro", "reset");
  await b.says("Press Me!");
  b.letOn();
  await b.live();
  await b.close();
});
const seconds = (/** @type {string|null} */ time) => (time ?? "").split(":").reduce((sum, part) => 60 * sum + Number(part), 0);

test("a picture whose hub has gone is marked as old though the page hangs", async () => {
  const own = await Hub.start();
  const a = await tab(browser, "about:blank", { wait: "" });
  await a.page.route("**/js/app.js", () => {}); // never answered
  await a.page.goto(own.url, { waitUntil: "commit" });
  await a.says("Press Me!");
  await own.kill("SIGKILL");
  await a.page.locator('html[data-link="stale"]').waitFor();
  await a.close();
  await own.end();
});

test("a file that does not come once is asked for again: the rest of the page, and a view", async () => {
  const a = await tab(browser, "about:blank", { wait: "" });
  for (const file of ["**/js/elements/setup.js", "**/js/elements/history.js"]) await a.page.route(file, (route) => route.abort("connectionreset"), { times: 1 });
  await a.page.goto(hub.url);
  await a.live();
  await a.field("work_duration").waitFor();
  await a.page.getByRole("link", { name: "History" }).click();
  await a.page.locator("lockstep-history").waitFor();
  await a.page.locator('[data-view-link="history"][aria-current="page"]').waitFor();
  await a.close();
});

test("on a phone, on the wall and in German it is the same picture, and it does not move either", async () => {
  for (const [query, options] of /** @type {const} */ ([["", { viewport: { width: 320, height: 640 } }], ["?view=wall", { viewport: { width: 1920, height: 1080 } }], ["?view=wall", { viewport: { width: 568, height: 320 } }], ["", { locale: "de-DE", colorScheme: "dark" }]])) {
    const a = await held(query, options);
    await a.says("locale" in options ? "Drück mich!" : "Press Me!");
    const place = () => a.page.locator("lockstep-tomato").boundingBox();
    const before = await place();
    a.letOn();
    await a.live();
    assert.deepEqual(await place(), before, `${query} ${JSON.stringify(options)}`);
    if (query) {
      const high = await a.page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
      assert.ok(high <= 0, `${high} px below the edge of ${JSON.stringify(options)}`);
      await a.page.screenshot({ animations: "disabled", path: `${OUT}wall-${options.viewport.width}.png` });
    }
    await a.close();
  }
});

test("a view without timers, a room that does not exist and a name that is none have no picture, and come all the same", async () => {
  for (const [query, wait] of [["?view=history", "lockstep-history"], ["?room=nowhere", ".missing"], ["?room=%2B", "[data-command]"]]) {
    const a = await tab(browser, hub.url + query, { wait });
    await a.live();
    assert.equal(await a.page.evaluate(() => performance.getEntriesByName("first-state").length), 0, query);
    await a.close();
  }
});

test("when the hub goes before the page is there, the picture is marked as old, and all comes when the hub is back", async () => {
  const own = await Hub.start();
  const a = await tab(browser, "about:blank", { wait: "" });
  await a.page.route("**/js/app.js", async (route) => (await own.kill("SIGKILL"), route.continue()));
  await a.page.goto(own.url, { waitUntil: "commit" });
  await a.says("Press Me!");
  await a.page.locator('html[data-link="stale"]').waitFor();
  await a.page.unroute("**/js/app.js");
  await own.start();
  await a.page.locator('html[data-link="live"]').waitFor(); // behind a reload
  await a.live();
  await a.close();
  await own.end();
});
