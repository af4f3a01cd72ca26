// @ts-check
/** Nothing but the keyboard: in every view and dialog Tab comes to every control and round again, where it is can be seen, and each control does its work. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** More stops than any view has. */
const STOPS_MAX = 150;

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => {
  [hub, browser] = await Promise.all([Hub.start(), launch()]);
  const desk = await hub.client();
  for (const [topic, value] of [["home/hall/light", "on"], ["home/hall/motion", "no"], ["home/kitchen/light", "off"]]) await desk.client.publishAsync(topic, value, { retain: true, qos: 1 });
  await desk.set("pomodoro", '{"action":"setup","work_duration":1}');
  await desk.set("pomodoro", "start");
  await eventually("something is in the history", () => desk.latest.get("lockstep/main/pomodoro/phase"), (phase) => phase === "break_alarm");
  await desk.set("pomodoro", '{"action":"setup","work_duration":1500}');
});
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

/** A tab whose mouse is left alone. @param {string} [path] @param {string} [wait] @param {import("playwright-core").BrowserContextOptions} [options] */
async function desktop(path = "", wait = "lockstep-settings button", options = {}) {
  const a = await tab(browser, `${hub.url}${path}`, { wait, ...options });
  const { page } = a;
  const at = (/** @type {string} */ selector) => page.evaluate((s) => document.activeElement?.matches(s) ?? false, selector);
  const press = async (/** @type {string[]} */ ...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  /** Tab until the control is reached. @param {string} selector */
  const tabTo = async (selector) => {
    for (let i = 0; i < STOPS_MAX; i++) {
      await press("Tab");
      if (await at(selector)) return;
    }
    assert.fail(`Tab never reaches ${selector}`);
  };
  const opened = (/** @type {string} */ name) => page.getByRole("dialog", { name }).waitFor();
  const closedTo = async (/** @type {string} */ selector) => {
    await eventually("no dialog is open", () => page.locator("dialog[open]").count(), (n) => n === 0);
    assert.ok(await at(selector), `the focus is back on ${selector}, not on ${await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 120))}`);
  };
  return { ...a, at, press, tabTo, opened, closedTo, walk: (/** @type {string} */ what) => walk(page, what) };
}

/** Tab goes round and comes to everything that can be used; each stop is in sight and marked. @param {import("playwright-core").Page} page @param {string} what */
async function walk(page, what) {
  await page.evaluate(() => void (/** @type {any} */ (window).stops = []));
  for (let i = 0; i < STOPS_MAX; i++) {
    await page.keyboard.press("Tab");
    const fault = await page.evaluate(() => {
      const stops = /** @type {Element[]} */ (/** @type {any} */ (window).stops);
      const element = document.activeElement;
      if (!element || element === document.body) return null; // the browser's own bar is here
      if (stops.includes(element)) return "round";
      stops.push(element);
      const shown = element.closest(".segment") ?? element;
      const { outlineStyle, outlineWidth } = getComputedStyle(shown);
      const { left, top, right, bottom } = shown.getBoundingClientRect();
      const name = element.outerHTML.slice(0, 140);
      if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) return `cannot be seen to have the focus: ${name}`;
      if (right <= 0 || bottom <= 0 || left >= innerWidth || top >= innerHeight) return `out of sight with the focus: ${name}`;
      return null;
    });
    if (fault === "round") break;
    assert.equal(fault, null, what);
    assert.ok(i < STOPS_MAX - 1, `${what}: Tab does not come round`);
  }
  const missed = await page.evaluate(() => {
    const stops = /** @type {Element[]} */ (/** @type {any} */ (window).stops);
    const all = ([...document.querySelectorAll("dialog[open]")].at(-1) ?? document).querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]');
    const usable = [...all].filter((element) => element.checkVisibility({ visibilityProperty: true }) && !(/** @type {any} */ (element).disabled) && element.getAttribute("tabindex") !== "-1");
    const stop = (/** @type {any} */ element) => element.type !== "radio" || element.checked; // a group of choices is one stop
    return usable.filter((element) => stop(element) && !stops.includes(element)).map((element) => element.outerHTML.slice(0, 140));
  });
  assert.deepEqual(missed, [], `${what}: Tab does not come here`);
}

test("every control of every view is a stop, in sight and marked, and Tab comes round", async () => {
  for (const viewport of [{ width: 1280, height: 800 }, { width: 320, height: 640 }]) {
    for (const [path, wait] of /** @type {const} */ ([["", ".setup-input"], ["?view=history", ".history-table"], ["?view=topics", ".topic-row"], ["?view=wall", "#full-screen"], ["login", "#user-form"]])) {
      const a = await desktop(path, wait, { viewport });
      if (path !== "login") await a.page.locator("lockstep-settings button").first().waitFor({ state: "attached" });
      await a.walk(`${path || "room"}, ${viewport.width} px`);
      await a.close();
    }
  }
});

test("history: reached, turned and read", async () => {
  const a = await desktop();
  await a.tabTo('[data-view-link="history"]');
  await a.press("Enter");
  await a.page.locator(".bars").first().waitFor();
  assert.ok(await a.at('[data-view-link="history"]'), "the focus stays where it was");
  await a.tabTo('[name="history-span"]');
  await a.press("ArrowRight");
  await a.page.locator(".year").waitFor();
  await a.press("ArrowLeft");
  await a.page.locator(".bars[data-bars='7']").waitFor();
  await a.tabTo(".history-range button:first-child");
  await a.press("Enter");
  await a.page.getByText("Nothing was finished in this time.").waitFor();
  assert.ok(await a.at(".history-range button:first-child"), "and can be pressed again");
  await a.tabTo(".history-range button:last-child");
  await a.press("Space");
  await a.tabTo(".history-table summary");
  await a.press("Enter");
  await a.page.locator(".history-table table").waitFor();
  await a.tabTo(".history-export a");
  const [download] = await Promise.all([a.page.waitForEvent("download"), a.press("Enter")]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  await a.close();
});

test("rooms: made, renamed and deleted, and the focus comes back from each dialog", async () => {
  const a = await desktop();
  const button = "lockstep-rooms > button";
  await a.tabTo(button);
  await a.press("Enter");
  await a.opened("This room");
  await a.walk("this room");
  await a.press("Escape");
  await a.closedTo(button);
  await a.press("Space");
  await a.tabTo("#room-new");
  await a.page.keyboard.type("Workshop");
  await a.press("Enter");
  await eventually("it is entered", () => a.page.url(), (url) => url.includes("room=workshop"));
  await a.closedTo(button);
  await a.says("Press Me!");
  await a.press("Enter");
  await a.tabTo("#room-rename");
  await a.press("Control+a");
  await a.page.keyboard.type("Atelier");
  await a.press("Tab", "Enter");
  await a.page.getByText("Renamed.").waitFor();
  await a.tabTo(".room-forms > button");
  await a.press("Enter");
  await a.opened("Delete the room «Atelier»?");
  await a.walk("really delete");
  await a.press("Escape");
  assert.ok(await a.at(".room-forms > button"), "back where it was asked for");
  await a.press("Enter");
  await a.tabTo('[value="delete"]');
  await a.press("Enter");
  await eventually("back in main", () => a.page.url(), (url) => url.includes("room=main"));
  await a.closedTo(button);
  // Between rooms the head's list is enough.
  await fetch(`${hub.url}api/v1/rooms`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"Attic"}' });
  await a.page.getByLabel("Room", { exact: true }).waitFor();
  await a.tabTo(".room-select");
  await a.page.keyboard.type("Attic");
  await eventually("by its name", () => a.page.url(), (url) => url.includes("room=attic"));
  assert.ok(await a.at(".room-select"), "and further from there");
  await a.close();
});

test("sharing: a guest's PIN is made and ended", async () => {
  const a = await desktop();
  const button = "lockstep-share > button";
  await a.tabTo(button);
  await a.press("Space");
  await a.opened("Share this room");
  await a.walk("share");
  await a.tabTo("#guest-role");
  await a.press("ArrowDown");
  assert.equal(await a.page.locator("#guest-role").inputValue(), "member");
  const outcome = () => a.page.locator(".guest-pin").textContent();
  await a.tabTo(".guests .setup-actions button:last-child");
  await a.press("Enter");
  await eventually("a PIN", outcome, (text) => /\d{4} \d{4}/.test(text ?? ""));
  await a.walk("share, with a PIN");
  await a.tabTo(".guests .setup-actions button:first-child");
  await a.press("Enter");
  await eventually("it is void", outcome, (text) => /void/.test(text ?? ""));
  assert.ok(await a.page.evaluate(() => Boolean(document.activeElement?.closest("dialog[open]"))), "the focus is still in the dialog");
  await a.press("Escape");
  await a.closedTo(button);
  await a.close();
});

test("settings: each choice by its keys", async () => {
  const a = await desktop();
  const button = "lockstep-settings > button";
  await a.tabTo(button);
  await a.press("Enter");
  await a.opened("Settings");
  await a.walk("settings");
  await a.tabTo("#set-name");
  await a.page.keyboard.type("Kim");
  await a.tabTo('dialog[open] .segment input[type="radio"]');
  await a.press("ArrowRight");
  const theme = await a.page.evaluate(() => document.documentElement.dataset.theme);
  assert.notEqual(theme, "system");
  await a.tabTo("#set-sound");
  await a.press("Space");
  assert.equal(await a.page.locator("#set-sound").isChecked(), false);
  await a.tabTo("#set-which");
  await a.page.keyboard.type("Bell");
  assert.equal(await a.page.locator("#set-which").inputValue(), "bell");
  await a.tabTo("#set-volume");
  await a.press("Home");
  assert.equal(await a.page.locator("#set-volume").inputValue(), "0");
  await a.press("Escape");
  await a.closedTo(button);
  await a.page.locator(".person", { hasText: "Kim" }).first().waitFor({ state: "attached" });
  await a.press("Enter");
  await a.tabTo("#set-language");
  await Promise.all([a.page.waitForEvent("load"), a.page.keyboard.type("Deutsch")]);
  await a.says("Drück mich!");
  await a.close();
});

test("saving over a running timer asks first", async () => {
  const a = await desktop("", "#setup-pomodoro-work_duration");
  await a.tabTo(".tomato");
  await a.press("Enter");
  await a.says("Work");
  await a.tabTo("#setup-pomodoro-work_duration");
  await a.press("Control+a");
  await a.page.keyboard.type("30");
  await a.press("Enter");
  await a.opened("Stop the running timer?");
  await a.walk("save over a running timer");
  await a.press("Escape");
  await a.closedTo("#setup-pomodoro-work_duration");
  await a.press("Enter");
  await a.tabTo('[value="configure"]');
  await a.press("Enter");
  await a.closedTo("#setup-pomodoro-work_duration");
  await a.page.getByText("Saved.").waitFor();
  await a.says("Work");
  await a.tabTo('[data-command="reset"]');
  await a.press("Enter");
  await a.says("Press Me!");
  await a.close();
});

test("topics: found, unfolded, read, cleared and published", async () => {
  const a = await desktop("?view=topics", ".topic-row");
  const rows = () => a.page.locator(".topic-space").evaluate((element) => /** @type {HTMLElement} */ (element).offsetHeight / 40);
  // The room's topics are there before the others are.
  await a.page.locator('.topic-row[title="home/hall/light"]').waitFor();
  const all = await eventually("the tree", rows, (n) => n > 10);
  await a.tabTo(".topic-list");
  await a.press("ArrowDown");
  assert.ok(await a.at(".topic-row"), "Down goes into the list");
  await a.press("ArrowLeft");
  await eventually("folded", rows, (n) => n < all);
  assert.ok(await a.at(".topic-row"), "the focus stays on the row");
  await a.press("ArrowRight");
  await eventually("unfolded", rows, (n) => n === all);
  await a.press("Shift+Tab");
  for (let i = 0; i < 3 && !(await a.at("#topic-filter")); i++) await a.press("Shift+Tab");
  await a.page.keyboard.type("home/hall");
  await eventually("only what was looked for", rows, (n) => n > 0 && n <= 4);
  await a.tabTo(".topic-list");
  await a.press("ArrowDown");
  for (let i = 0; i < 5 && !(await a.at('[title="home/hall/light"]')); i++) await a.press("ArrowDown");
  await a.press("Enter");
  await a.page.locator(".topic-path", { hasText: "home/hall/light" }).waitFor();
  await a.tabTo(".topic-payload");
  await a.tabTo(".topic-tools select");
  await a.press("End");
  await eventually("as hex", () => a.page.locator(".topic-payload").textContent(), (text) => text === "6f 6e");
  await a.tabTo(".topic-tools button");
  await a.press("Enter");
  await a.opened("Clear the retained value?");
  await a.walk("clear a topic");
  await a.press("Escape");
  await a.closedTo(".topic-tools button");
  await a.press("Enter");
  await a.tabTo('[value="clear"]');
  await a.press("Enter");
  await a.page.getByText("This topic has no retained value any more.").waitFor();
  await eventually("what was pressed is gone, and the focus is in the list", () => a.at(".topic-list, .topic-row"));
  await a.tabTo("#pub-topic");
  await a.press("Control+a");
  await a.page.keyboard.type("home/hall/bell");
  await a.press("Tab");
  await a.page.keyboard.type("ding");
  await a.tabTo("#pub-retain");
  await a.press("Space");
  await a.tabTo(".topic-form [type=submit]");
  await a.press("Enter");
  await a.page.locator('.topic-row[title="home/hall/bell"]').waitFor();
  await a.close();
});

test("the wall is entered and left, and the next key goes on from there", async () => {
  const a = await desktop();
  await a.tabTo('[data-view-link="wall"]');
  await a.press("Enter");
  await a.page.locator("#full-screen").waitFor();
  assert.ok(await a.at("#main"), "what had the focus is gone, so the room has it");
  await a.tabTo(".tomato");
  await a.press("Space");
  await a.says("Work");
  await a.tabTo('.wall-bar [data-view-link="room"]');
  await a.press("Enter");
  await a.button("reset").waitFor();
  assert.ok(await a.at("#main"));
  await a.tabTo('[data-command="reset"]');
  await a.press("Enter");
  await a.says("Press Me!");
  await a.close();
});

test("logging in: fields, fault and the guest's way", async () => {
  const a = await desktop("login", "#user-form");
  await eventually("the first field waits", () => a.at("#user"));
  await a.page.keyboard.type("nobody");
  await a.press("Tab");
  await a.page.keyboard.type("wrong");
  await a.press("Enter");
  await a.page.getByRole("alert").waitFor();
  await a.tabTo("summary");
  await a.press("Enter");
  await a.walk("log in, as a guest");
  await a.tabTo("#pin");
  await a.page.keyboard.type("12345678");
  await a.press("Tab");
  assert.ok(await a.at("#guest-form button"));
  await a.press("Space");
  await a.page.getByRole("alert").getByText("PIN").waitFor();
  a.complaints.splice(0, a.complaints.length, ...a.complaints.filter((text) => !/401/.test(text)));
  await a.close();
});

test("what the page says of itself is answered too: a refusal dismissed, the hub tried again", async () => {
  const a = await desktop();
  await a.live();
  await a.tabTo('[data-command="stop"]');
  await a.press("Enter");
  await a.page.locator(".alert").waitFor();
  await a.tabTo(".alert button");
  await a.press("Enter");
  await eventually("it is gone", () => a.page.locator(".alert").count(), (n) => n === 0);
  assert.ok(await a.at("#main"));
  await hub.kill("SIGKILL");
  await a.page.locator(".banner button").waitFor();
  await a.tabTo(".banner button");
  await hub.start();
  await a.press("Enter");
  await a.live();
  await eventually("the banner is gone, the focus is not", () => a.at("#main"));
  await a.close();
});
