// @ts-check
/** The setup form: minutes shown, seconds sent, edits kept, a warning while a timer runs. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));
const STATE = "lockstep/main/pomodoro/state";

test("the hub's values are shown in minutes, odd ones too, and saved in seconds", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await eventually("the default", () => a.field("work_duration").inputValue(), (v) => v === "25");
  await desk.set("pomodoro", '{"action":"setup","work_duration":1937,"number_cycles":7}');
  await eventually("a value outside the choices", () => a.field("work_duration").inputValue(), (v) => v === "32:17");
  assert.equal(await a.field("number_cycles").inputValue(), "7");
  await a.field("work_duration").fill("1,5");
  await a.page.locator(".setup-row", { hasText: "Short break" }).getByRole("button", { name: "10", exact: true }).click();
  await a.page.locator(".setup-row", { hasText: "Long break" }).getByRole("button", { name: "open end" }).click();
  await a.field("auto_start").check();
  await a.page.getByRole("button", { name: "Save" }).click();
  await eventually("saved", () => desk.json(STATE), (s) => s.work_duration === 90 && s.break_duration === 600 && s.long_break_duration === 0 && s.number_cycles === 7 && s.auto_start === true);
  await a.page.getByText("Saved.").waitFor();
  assert.equal(await a.field("work_duration").inputValue(), "1:30");
  await a.close();
});

test("unsaved edits survive what others save, and the difference is said", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await a.field("work_duration").fill("33");
  await desk.set("pomodoro", '{"action":"setup","work_duration":2400,"break_duration":120}');
  await eventually("the untouched field follows", () => a.field("break_duration").inputValue(), (v) => v === "2");
  assert.equal(await a.field("work_duration").inputValue(), "33");
  await a.page.getByText("Now 40 on the hub").waitFor();
  await a.page.screenshot({ animations: "disabled", path: `${OUT}setup-meanwhile.png` });
  await a.page.getByRole("button", { name: "Discard" }).click();
  assert.equal(await a.field("work_duration").inputValue(), "40");
  await a.close();
});

test("what cannot be is said at the field and not sent", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  const rev = await eventually("a revision", () => desk.json(STATE)?.rev);
  await a.field("work_duration").fill("nonsense");
  await a.page.getByRole("button", { name: "Save" }).click();
  await a.page.getByText("Minutes such as 25").waitFor();
  assert.equal(await a.field("work_duration").getAttribute("aria-invalid"), "true");
  assert.equal(await a.page.evaluate(() => document.activeElement?.id), "setup-pomodoro-work_duration");
  assert.equal(desk.json(STATE).rev, rev);
  await a.close();
});

test("Save warns while a timer runs; «from the next phase» leaves it running", async () => {
  const [a, desk] = await Promise.all([tab(browser, hub.url), hub.client()]);
  await a.live();
  await desk.set("pomodoro", "start");
  await a.page.getByText("A timer is running.").waitFor();
  const ends = desk.json(STATE).ends_at;
  await a.field("work_duration").fill("50");
  const dialog = a.page.getByRole("dialog", { name: "Stop the running timer?" });
  await a.page.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor();
  await a.page.screenshot({ animations: "disabled", path: `${OUT}setup-confirm.png` });
  await a.page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(desk.json(STATE).ends_at, ends);
  assert.equal(await a.field("work_duration").inputValue(), "50");

  await a.page.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: "From the next phase" }).click();
  await eventually("configured", () => desk.json(STATE), (s) => s.work_duration === 3000 && s.ends_at === ends && s.phase === "work");

  await a.field("work_duration").fill("20");
  await a.page.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: "Save and start over" }).click();
  await a.says("Press Me!");
  await eventually("saved", () => desk.json(STATE), (s) => s.work_duration === 1200 && s.phase === "idle");
  await a.close();
});
