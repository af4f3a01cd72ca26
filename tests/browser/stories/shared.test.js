// @ts-check
/** Two tabs and one MQTT client share one state. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

test("a press, from the page or by MQTT, moves every page and every client", async () => {
  const [a, b, desk] = await Promise.all([tab(browser, hub.url), tab(browser, hub.url), hub.client()]);
  await Promise.all([a.says("Press Me!"), b.says("Press Me!")]);
  await desk.set("pomodoro", "press");
  await Promise.all([a.says("Work"), b.says("Work")]);
  assert.equal(desk.json("lockstep/main/pomodoro/state").phase, "work");
  const ends = desk.json("lockstep/main/pomodoro/state").ends_at;
  const left = Math.ceil((ends - Date.now()) / 1000);
  const [minutes, seconds] = String(await a.time()).split(":").map(Number);
  assert.ok(Math.abs(minutes * 60 + seconds - left) <= 1, "the countdown is drawn from ends_at");
  await eventually("the title counts", () => a.page.title(), (title) => /^2[45]:\d\d · Work/.test(title));

  await eventually("the guard against double presses is over", async () => {
    if ((await desk.json("lockstep/main/pomodoro/state")).paused) return true;
    await b.page.locator(".tomato").click();
    return desk.json("lockstep/main/pomodoro/state").paused;
  });
  await eventually("a shows the pause", () => a.page.locator(".pomodoro-line").textContent(), (line) => /^Paused · 2[45]:\d\d left$/.test(line ?? ""));
  await a.button("start").filter({ hasText: "Resume" }).click();
  await eventually("it runs again", () => b.page.locator(".pomodoro-line").textContent(), (line) => /^Ends at /.test(line ?? ""));
  const before = desk.json("lockstep/main/pomodoro/state").ends_at;
  await a.button("extend").click();
  await eventually("five minutes more", () => desk.json("lockstep/main/pomodoro/state").ends_at - before, (more) => more === 300_000);
  await a.button("skip").click();
  await b.says("Break time");
  await b.button("reset").click();
  await Promise.all([a.says("Press Me!"), b.says("Press Me!")]);
  await Promise.all([a.close(), b.close()]);
});

test("a slider moved by MQTT moves both pages; a drag is seen while it goes on and the handle never jumps", async () => {
  const [a, b, desk] = await Promise.all([tab(browser, hub.url), tab(browser, hub.url), hub.client()]);
  await desk.set("slider1", 42);
  await Promise.all([a.shows("slider1", "42"), b.shows("slider1", "42")]);

  const box = await a.slider("slider1").boundingBox();
  assert.ok(box);
  const x = (/** @type {number} */ share) => box.x + 15 + (box.width - 30) * share;
  const y = box.y + box.height / 2;
  await a.page.mouse.move(x(0.42), y);
  await a.page.mouse.down();
  await a.page.evaluate(() => {
    const input = /** @type {HTMLInputElement} */ (document.querySelector('lockstep-slider[thing="slider1"] input'));
    const seen = (/** @type {any} */ (window).seen = /** @type {number[]} */ ([]));
    const look = () => (seen.push(Number(input.value)), requestAnimationFrame(look));
    look();
  });
  /** @type {string[]} */
  const elsewhere = [];
  for (const share of [0.5, 0.6, 0.7, 0.8]) {
    await a.page.mouse.move(x(share), y, { steps: 6 });
    const want = String(await a.slider("slider1").inputValue());
    await b.shows("slider1", want);
    elsewhere.push(want);
    await eventually("the MQTT client has it too", () => desk.latest.get("lockstep/main/slider1/value"), (value) => value === want);
    for (const foreign of [3, 97, 11]) await desk.set("slider1", foreign); // others pull at it meanwhile
    await b.shows("slider1", "11");
    assert.equal(await a.slider("slider1").inputValue(), want, "the held handle stays");
  }
  assert.equal(new Set(elsewhere).size, 4, "each stop of the drag was seen in the other tab while the button was down");
  await a.page.mouse.move(x(0.9), y, { steps: 4 });
  const last = await a.slider("slider1").inputValue();
  await a.page.mouse.up();
  await Promise.all([a.shows("slider1", last), b.shows("slider1", last)]);
  await eventually("the last value arrives", () => desk.latest.get("lockstep/main/slider1/value"), (value) => value === last);
  const seen = await a.page.evaluate(() => /** @type {number[]} */ (/** @type {any} */ (window).seen));
  assert.deepEqual(seen, [...seen].sort((m, n) => m - n), "a handle pulled to the right only ever went right");
  await eventually("nothing is pending", () => a.page.locator("lockstep-slider[data-pending]").count(), (n) => n === 0);

  const late = await tab(browser, hub.url);
  await late.shows("slider1", last);
  await late.page.screenshot({ animations: "disabled", path: `${OUT}late-tab.png` });
  await Promise.all([a.close(), b.close(), late.close()]);
});

test("a refused command is an alert in plain words, and the control shows the hub's state", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await a.button("stop").click();
  await a.alert("already_stopped").waitFor();
  assert.match(String(await a.alert("already_stopped").textContent()), /Timer already stopped/);
  assert.equal(await a.page.locator(".alerts").getAttribute("role"), "alert");
  await a.button("stop").click();
  await eventually("the same refusal is counted, not stacked", () => a.alert("already_stopped").textContent(), (text) => /2 times/.test(text ?? ""));
  await a.alert("already_stopped").getByRole("button", { name: "Dismiss" }).click();
  assert.equal(await a.page.locator(".alert").count(), 0);
  await a.button("start").click();
  await a.says("Work");
  await a.button("start").click();
  await a.alert("already_started").waitFor();
  await a.page.screenshot({ animations: "disabled", path: `${OUT}refused.png` });
  await a.button("reset").click();
  await eventually("what is accepted clears the old refusal", () => a.page.locator(".alert").count(), (n) => n === 0);
  await a.says("Press Me!");

  // A page that believes in other limits than the hub: the hub refuses, the handle goes back.
  await desk.set("slider2", 30);
  await a.shows("slider2", "30");
  await a.page.evaluate(() => {
    const input = /** @type {HTMLInputElement} */ (document.querySelector('lockstep-slider[thing="slider2"] input'));
    input.max = "500";
    input.value = "400";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await a.alert("out_of_range").waitFor();
  await a.shows("slider2", "30");
  assert.equal(await a.slider("slider2").inputValue(), "30");
  assert.equal(desk.latest.get("lockstep/main/slider2/value"), "30");
  await a.close();
});

test("a clock that goes wrong here is taken out of the countdown", async () => {
  const desk = await hub.client();
  await desk.set("pomodoro", "start");
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const wall = Date.now.bind(Date);
    Date.now = () => wall() + 3 * 3_600_000; // three hours fast
  });
  await page.goto(hub.url);
  const left = () => (desk.json("lockstep/main/pomodoro/state").ends_at - Date.now()) / 1000;
  await eventually("the time left is right all the same", () => page.locator(".tomato-time").textContent(), (time) => {
    const [minutes, seconds] = String(time).split(":").map(Number);
    return Math.abs(minutes * 60 + seconds - left()) <= 1.5;
  });
  await context.close();
  await desk.set("pomodoro", "reset");
});
