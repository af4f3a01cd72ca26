// @ts-check
/** Several timers in a room, a room that goes while it rings, and rooms that one may not see. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, launch, OUT, tab } from "./browser.js";
import { BINARY, eventually, Hub } from "./hub.js";

const folder = mkdtempSync(join(tmpdir(), "lockstep-several-"));
const TIMERS = '[[things]]\nid = "focus"\nkind = "pomodoro"\nname = "Focus"\n\n[[things]]\nid = "tea"\nkind = "pomodoro"\nname = "Tea"\n';
/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => {
  const config = join(folder, "hub.toml");
  writeFileSync(config, TIMERS);
  [hub, browser] = await Promise.all([Hub.start("--config", config), launch()]);
});
after(async () => {
  await Promise.allSettled([browser?.close(), hub?.end()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Counts what the page's alarm plays and what it notifies, from the beginning. @param {import("playwright-core").Page} page */
const counted = (page) =>
  page.addInitScript(() => {
    const seen = Object.assign(window, { tones: 0, titles: /** @type {Set<string>} */ (new Set()) });
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...args) {
      seen.tones += 1;
      return start.apply(this, /** @type {any} */ (args));
    };
    new MutationObserver(() => seen.titles.add(document.title)).observe(document, { childList: true, subtree: true, characterData: true });
  });
const seen = (/** @type {import("playwright-core").Page} */ page) => page.evaluate(() => ({ tones: /** @type {any} */ (window).tones, titles: [.../** @type {any} */ (window).titles] }));

test("two timers: each has its name, its fields and its colours", async () => {
  const desk = await hub.client();
  const a = await tab(browser, hub.url);
  await a.live();
  await a.page.getByRole("heading", { name: "Focus", exact: true }).waitFor();
  await a.page.getByRole("heading", { name: "Setup · Tea", exact: true }).waitFor();
  const twice = await a.page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    return ids.filter((id, i) => ids.indexOf(id) !== i);
  });
  assert.deepEqual(twice, []);
  await a.page.locator('lockstep-setup[thing="tea"]').getByText("Work", { exact: true }).click();
  assert.equal(await a.page.evaluate(() => document.activeElement?.id), "setup-tea-work_duration");

  await desk.set("tea", "start");
  await desk.set("tea", "skip");
  await desk.set("tea", "press");
  await eventually("a break", () => desk.json("lockstep/main/tea/state")?.phase, (phase) => phase === "short_break");
  const colour = (/** @type {string} */ thing) =>
    a.page.evaluate((thing) => {
      const body = /** @type {Element} */ (document.querySelector(`lockstep-pomodoro[thing="${thing}"] .fruit-body`));
      const gradient = document.querySelector(/#[\w-]+/.exec(getComputedStyle(body).fill)?.[0] ?? "none");
      return gradient && getComputedStyle(/** @type {Element} */ (gradient.querySelector("stop"))).stopColor;
    }, thing);
  await eventually("the fruits differ", async () => [await colour("focus"), await colour("tea")], ([focus, tea]) => Boolean(focus && tea && focus !== tea));
  await accessible(a.page, "two timers");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}two-timers.png` });
  await desk.set("tea", "reset");
  await a.close();
});

test("one that rings beside one that runs: a chime at its pace, and the title of the one that rings", async () => {
  const desk = await hub.client();
  const a = await tab(browser, "about:blank", { wait: "" });
  await counted(a.page);
  await a.page.goto(hub.url);
  await a.live();
  await a.page.locator("main").click({ position: { x: 3, y: 3 } });
  await desk.set("focus", "start");
  await desk.set("tea", "start");
  await eventually("both run", () => a.page.locator('[data-phase="work"] > .tomato').count(), (n) => n === 2);
  await desk.set("tea", "skip");
  await a.page.locator('lockstep-pomodoro[thing="tea"][data-phase="break_alarm"]').waitFor();
  const { tones } = await eventually("it sounds", () => seen(a.page), (now) => now.tones > 0);
  await a.page.evaluate(() => /** @type {any} */ (window).titles.clear());
  // Two ticks of the other one, which must not start the chime anew.
  const time = await a.page.locator('lockstep-pomodoro[thing="focus"] .tomato-time').textContent();
  await eventually("the other ticks", () => a.page.locator('lockstep-pomodoro[thing="focus"] .tomato-time').textContent(), (now) => now !== time);
  const now = await seen(a.page);
  assert.ok(now.tones <= 2 * tones, `${tones} tones, then ${now.tones}`);
  assert.deepEqual(now.titles, ["Break time – Main"], "the title stays");
  assert.match(await a.page.title(), /^Break time – Main$/);
  await desk.set("tea", "reset");
  await eventually("the title is the running one's", () => a.page.title(), (title) => /^\d\d:\d\d · Work – Main$/.test(title));
  await desk.set("focus", "reset");
  await a.close();
});

test("a room that goes while it rings is quiet, and there is a way to another", async () => {
  const api = (/** @type {string} */ method, /** @type {string} */ path, /** @type {any} */ body) => fetch(`${hub.url}api/v1/${path}`, { method, headers: { "content-type": "application/json" }, ...(body && { body: JSON.stringify(body) }) });
  const made = await api("POST", "rooms", { name: "Class" });
  assert.equal(made.status, 201, await made.text());
  const desk = await hub.client();
  const a = await tab(browser, "about:blank", { wait: "" });
  await counted(a.page);
  await a.page.goto(`${hub.url}?room=class`);
  await a.live();
  await a.page.locator("main").click({ position: { x: 3, y: 3 } });
  await desk.client.publishAsync("lockstep/class/focus/set", "start", { qos: 1 });
  await desk.client.publishAsync("lockstep/class/focus/set", "skip", { qos: 1 });
  await eventually("it rings", () => seen(a.page), (now) => now.tones > 0);
  assert.equal((await api("DELETE", "rooms/class", null)).ok, true);
  await a.page.getByText("There is no room «class»").waitFor();
  await eventually("title and icon speak of it no more", async () => [await a.page.title(), await a.page.locator('link[rel="icon"]').getAttribute("href")], ([title, icon]) => title === "Lockstep" && icon === "icons/tomato.svg");
  assert.equal(await a.page.evaluate(async () => (await import(new URL("js/attention.js", document.baseURI).href)).alarm.ringing), false);
  await accessible(a.page, "a room that went");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}no-room.png` });
  await a.page.getByRole("link", { name: "Main" }).click();
  await a.page.getByRole("heading", { name: "Focus", exact: true }).waitFor();
  await a.close();
});

test("a hub without a room `main` shows its first", async () => {
  const config = join(folder, "office.toml");
  writeFileSync(config, '[[rooms]]\nid = "office"\nname = "Office"\n');
  const own = await Hub.start("--config", config);
  const a = await tab(browser, own.url);
  await a.page.getByRole("heading", { name: "Office", level: 1 }).waitFor();
  await a.says("Press Me!");
  await a.live();
  await a.close();
  await own.end();
});

test("a room that one may not see is said, and the others are reached", async () => {
  const users = join(folder, "users");
  const config = join(folder, "secret.toml");
  writeFileSync(join(folder, "acl"), "user anna\ntopic read lockstep/#\ntopic deny lockstep/secret/#\n");
  writeFileSync(config, `[security]\nusers_file = "${users}"\nacl_file = "${join(folder, "acl")}"\n\n[[rooms]]\nid = "main"\nname = "Main"\n\n[[rooms]]\nid = "secret"\nname = "Secret"\n`);
  const own = new Hub();
  own.more = ["--config", config];
  writeFileSync(join(folder, "password"), "correct horse\n");
  const made = spawnSync(BINARY, ["--config", config, "--data-dir", own.dir, "passwd", "anna", "--role", "member", "--password-file", join(folder, "password")], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  await own.start();
  const a = await tab(browser, `${own.url}login`, { wait: "#user-form" });
  await a.page.getByLabel("User").fill("anna");
  await a.page.getByLabel("Password").fill("correct horse");
  await a.page.getByRole("button", { name: "Log in" }).click();
  await a.says("Press Me!");
  await a.page.goto(`${own.url}?room=secret`);
  await a.page.getByText("You may not see the room «secret»").waitFor();
  await a.page.getByRole("link", { name: "Main" }).click();
  await a.says("Press Me!");
  await a.live();
  await a.page.getByLabel("Room", { exact: true }).selectOption("secret");
  await a.page.getByText("You may not see the room «secret»").waitFor();
  await eventually("the title has no timer", () => a.page.title(), (title) => title === "Secret");
  await a.page.getByRole("link", { name: "Main" }).click();
  await a.says("Press Me!");
  await a.live();
  await a.close();
  await own.end();
});
