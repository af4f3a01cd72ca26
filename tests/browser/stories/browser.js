// @ts-check
/** Debian's Chromium, and the few words in which the stories speak of the page. */
import { mkdirSync } from "node:fs";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { eventually } from "./hub.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const OUT = new URL("../out/", import.meta.url).pathname;
mkdirSync(OUT, { recursive: true });

const SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: SWITCHES });
}

/**
 * A tab of its own browser profile; what the page complains about fails the story.
 * @param {import("playwright-core").Browser} browser @param {string} url @param {import("playwright-core").BrowserContextOptions & {wait?: string}} [options]
 */
export async function tab(browser, url, { wait = ".tomato-message", ...options } = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  /** @type {string[]} */
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    const fallBack = message.location().url.includes("api/v1/stream"); // tried while the hub is away
    const expected = fallBack || /WebSocket connection to|net::ERR_/.test(text);
    if (message.type() === "error" && !expected) complaints.push(`${text} ${message.location().url}`.trim());
  });
  await page.goto(url);
  if (wait) await page.locator(wait).first().waitFor();
  return {
    page,
    context,
    complaints,
    message: () => page.locator(".tomato-message").textContent(),
    time: () => page.locator(".tomato-time").textContent(),
    slider: (/** @type {string} */ id) => page.locator(`lockstep-slider[thing="${id}"] input`),
    value: (/** @type {string} */ id) => page.locator(`lockstep-slider[thing="${id}"] output`).textContent(),
    alert: (/** @type {string} */ code) => page.locator(`.alert[data-code="${code}"]`),
    button: (/** @type {string} */ name) => page.locator(`[data-command="${name}"]`),
    field: (/** @type {string} */ id) => page.locator(`#setup-pomodoro-${id}`),
    /** Live, and all of it loaded: what is missing when a hub dies meanwhile has a story of its own. */
    live: async () => {
      await eventually("the page is live", () => page.evaluate(() => document.documentElement.dataset.link), (link) => link === "live");
      await eventually("the page is complete", () => page.evaluate(() => performance.getEntriesByName("complete").length > 0));
    },
    says: (/** @type {string} */ text) => eventually(`the tomato says ${text}`, () => page.locator(".tomato-message").textContent(), (seen) => seen === text),
    shows: (/** @type {string} */ id, /** @type {string} */ value) => eventually(`${id} shows ${value}`, () => page.locator(`lockstep-slider[thing="${id}"] output`).textContent(), (seen) => seen === value),
    close: async () => {
      await context.close();
      assert.deepEqual(complaints, [], "the page complained");
    },
  };
}

/** No violation of axe's rules, which are asked without best practices left out. @param {import("playwright-core").Page} page @param {string} what */
export async function accessible(page, what) {
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity).map((a) => a.finished.catch(() => {}))));
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.map((/** @type {any} */ n) => `${n.target} ${n.failureSummary}`).slice(0, 4).join(" | ")}`);
  assert.deepEqual(found, [], `${what}: axe`);
}

/** Nothing sticks out to the right. @param {import("playwright-core").Page} page */
export async function fits(page) {
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= seen, `the page is ${wide} px wide in a window of ${seen}`);
  const out = await page.evaluate(() => {
    const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
    if (!dialog) return [];
    const edge = dialog.getBoundingClientRect().right - parseFloat(getComputedStyle(dialog).paddingRight) + 9; // a round button's own space
    return [...dialog.querySelectorAll("*")].filter((part) => part.checkVisibility() && !part.closest("option") && part.getBoundingClientRect().right > edge).map((part) => part.outerHTML.slice(0, 100));
  });
  assert.deepEqual(out, [], "sticks out of its dialog");
}
