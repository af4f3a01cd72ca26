// @ts-check
/** The hub dies and comes back; the page says so, shows nothing stale as live, and returns by itself. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

test("kill -9 in mid-phase: a banner, stale marks, refused commands; then the same ends_at by itself", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await desk.set("slider1", 64);
  await a.page.locator(".tomato").click();
  await a.says("Work");
  await a.shows("slider1", "64");
  const ends = await eventually("the client knows the end", () => desk.json("lockstep/main/pomodoro/state")?.ends_at);
  const endsLine = await a.page.locator(".pomodoro-line").textContent();
  const boot = desk.json("lockstep/hub/info").boot;

  await hub.kill("SIGKILL");
  await a.page.locator(".banner", { hasText: "connection to the hub is gone" }).waitFor();
  assert.ok(await a.page.locator(".stale-badge").isVisible());
  await accessible(a.page, "without connection");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}connection-lost.png` });
  await a.button("stop").click();
  await a.alert("offline").waitFor();
  await a.slider("slider1").focus();
  await a.page.keyboard.press("ArrowRight");
  await a.shows("slider1", "64");

  await hub.start();
  await a.live();
  assert.equal(await a.page.locator(".banner").isVisible(), false);
  assert.equal(await a.page.locator(".stale-badge").isVisible(), false);
  await a.says("Work");
  await a.shows("slider1", "64");
  assert.equal(await a.page.locator(".pomodoro-line").textContent(), endsLine);
  await eventually("the MQTT client is back in another life of the hub", () => desk.json("lockstep/hub/info")?.boot, (now) => now !== boot);
  assert.equal(desk.json("lockstep/main/pomodoro/state").ends_at, ends);
  const late = await tab(browser, hub.url);
  await late.says("Work");
  assert.equal(await late.page.locator(".pomodoro-line").textContent(), endsLine);
  await late.button("stop").click();
  await eventually("commands work again", () => a.page.locator(".pomodoro-line").textContent(), (line) => /^Paused/.test(line ?? ""));
  await Promise.all([a.close(), late.close()]);
});

test("«Try now» does not wait out the back-off", async () => {
  const a = await tab(browser, hub.url);
  await a.live();
  await hub.kill("SIGKILL");
  await eventually("a long wait is announced", () => a.page.locator(".banner-count").textContent(), (text) => /in [3-9] s/.test(text ?? ""), 30_000);
  await hub.start();
  await a.page.getByRole("button", { name: "Try now" }).click();
  await eventually("it is live before the wait was over", () => a.page.evaluate(() => document.documentElement.dataset.link), (link) => link === "live", 2_000);
  await a.close();
});

test("what the hub could not send any more is loaded when it is back", async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.route("**/js/elements/settings.js", (route) => route.abort(), { times: 1 });
  await page.goto(hub.url);
  await page.locator(".tomato-message").waitFor();
  await page.locator("[data-command=reset]").click(); // the room works without it
  await eventually("the first try failed", () => page.evaluate(() => performance.getEntriesByName("complete").length), (n) => n === 0);
  await hub.kill("SIGKILL");
  await hub.start();
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("dialog", { name: "Settings" }).waitFor();
  await context.close();
});
