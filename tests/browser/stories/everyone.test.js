// @ts-check
/** Keyboard only, touch, both themes, the narrowest window, and axe on each phase. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, fits, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

test("everything by keyboard alone", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  /** @param {string} selector */
  const tabTo = async (selector) => {
    for (let i = 0; i < 80; i++) {
      await a.page.keyboard.press("Tab");
      if (await a.page.evaluate((s) => document.activeElement?.matches(s), selector)) return;
    }
    assert.fail(`Tab never reaches ${selector}`);
  };
  await a.page.keyboard.press("Tab");
  assert.equal(await a.page.evaluate(() => document.activeElement?.className), "skip-link");
  await a.page.keyboard.press("Enter");
  await tabTo(".tomato");
  await a.page.keyboard.press("Enter");
  await a.says("Work");
  await eventually("the phase is announced", () => a.page.locator('[data-announce="phase"]').textContent(), (text) => text === "Work");
  await tabTo('[data-command="stop"]');
  await a.page.keyboard.press("Space");
  await eventually("paused", () => desk.json("lockstep/main/pomodoro/state")?.paused);
  await tabTo('[data-command="reset"]');
  await a.page.keyboard.press("Enter");
  await a.says("Press Me!");
  assert.ok(await a.page.evaluate(() => document.activeElement?.matches('[data-command="reset"]')), "a dimmed button keeps the focus");
  await tabTo('lockstep-slider[thing="slider1"] input');
  for (let i = 0; i < 5; i++) await a.page.keyboard.press("ArrowRight");
  await eventually("5 by arrow keys", () => desk.latest.get("lockstep/main/slider1/value"), (v) => v === "5");
  await a.page.keyboard.press("End");
  await eventually("100 by End", () => desk.latest.get("lockstep/main/slider1/value"), (v) => v === "100");
  await tabTo("#setup-pomodoro-work_duration");
  await a.page.keyboard.press("Control+a");
  await a.page.keyboard.type("12");
  await a.page.keyboard.press("Enter");
  await eventually("saved by Enter", () => desk.json("lockstep/main/pomodoro/state")?.work_duration, (v) => v === 720);
  await a.close();
});

test("a finger drags a slider and presses the tomato", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url, { hasTouch: true, isMobile: true, viewport: { width: 360, height: 740 } }), hub.client()]);
  await a.live();
  await a.page.locator(".tomato").tap();
  await a.says("Work");
  await a.slider("slider2").scrollIntoViewIfNeeded();
  const box = await a.slider("slider2").boundingBox();
  assert.ok(box);
  const cdp = await a.context.newCDPSession(a.page);
  const point = (/** @type {number} */ share) => [{ x: box.x + 15 + (box.width - 30) * share, y: box.y + box.height / 2 }];
  await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: point(0) });
  for (let share = 0.05; share <= 0.6; share += 0.05) await cdp.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: point(share) });
  const held = await a.slider("slider2").inputValue();
  assert.ok(Number(held) > 40, `the finger pulled it to ${held}`);
  await eventually("seen while the finger is down", () => desk.latest.get("lockstep/main/slider2/value"), (v) => v === held);
  await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await a.shows("slider2", held);
  await desk.set("pomodoro", "reset");
  await a.close();
});

test("the theme is chosen, remembered, and follows the system when asked to", async () => {
  const a = await tab(browser, hub.url, { colorScheme: "dark" });
  await a.live();
  const paper = () => a.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await paper();
  await a.page.emulateMedia({ colorScheme: "light" });
  const light = await eventually("it follows the system", paper, (colour) => colour !== dark);
  await a.page.getByRole("radio", { name: "Dark" }).check();
  assert.equal(await paper(), dark);
  await a.page.reload();
  await a.live();
  assert.equal(await paper(), dark, "remembered");
  await a.page.getByRole("radio", { name: "As the system" }).check();
  assert.equal(await paper(), light);
  await a.close();
});

/** How to come to each phase from idle. @type {Record<string, string[]>} */
const WAYS = {
  idle: [],
  work: ["start"],
  paused: ["start", "stop"],
  break_alarm: ["start", "skip"],
  short_break: ["start", "skip", "press"],
  work_alarm: ["start", "skip", "press", "skip"],
  long_break: ['{"action":"setup","number_cycles":1,"work_duration":1500}', "start", "skip", "press", "skip", "press", "skip", "press"],
};

for (const theme of /** @type {const} */ (["light", "dark"])) {
  test(`no phase has an axe violation, sticks out at 320 px or looks untested: ${theme}`, async () => {
    const desk = await hub.client();
    const wide = await tab(browser, hub.url, { colorScheme: theme, reducedMotion: "reduce" });
    const narrow = await tab(browser, hub.url, { colorScheme: theme, reducedMotion: "reduce", viewport: { width: 320, height: 640 }, hasTouch: true });
    for (const [phase, way] of Object.entries(WAYS)) {
      await desk.set("pomodoro", '{"action":"setup","number_cycles":3,"work_duration":1500}');
      for (const command of way) await desk.set("pomodoro", command);
      const want = phase === "paused" ? "work" : phase;
      for (const view of [wide, narrow]) {
        await eventually(`${phase} is drawn`, () => view.page.locator("lockstep-pomodoro").getAttribute("data-phase"), (p) => p === want);
        await accessible(view.page, `${phase}, ${theme}`);
        await fits(view.page);
      }
      await wide.page.screenshot({ animations: "disabled", path: `${OUT}${phase}-desktop-${theme}.png` });
      await narrow.page.setViewportSize({ width: 360, height: 740 });
      await narrow.page.screenshot({ animations: "disabled", path: `${OUT}${phase}-phone-${theme}.png`, fullPage: true });
      await narrow.page.setViewportSize({ width: 320, height: 640 });
    }
    await Promise.all([wide.close(), narrow.close()]);
  });
}
