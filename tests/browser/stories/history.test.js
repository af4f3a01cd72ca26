// @ts-check
/** The history: what was done shows up by itself, as plots, as a table and as files. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, fits, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => ([hub, browser] = await Promise.all([Hub.start(), launch()])));
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

/** @param {Awaited<ReturnType<Hub["client"]>>} desk @param {string} phase */
const inPhase = (desk, phase) => eventually(phase, () => desk.latest.get("lockstep/main/pomodoro/phase"), (seen) => seen === phase);

test("what is finished and what is broken off shows up by itself, in the table and in the files", async () => {
  const desk = await hub.client();
  await desk.set("pomodoro", '{"action":"setup","work_duration":1}');
  await desk.set("pomodoro", "start");
  await inPhase(desk, "break_alarm");
  const a = await tab(browser, `${hub.url}?view=history`, { wait: "lockstep-history", acceptDownloads: true });
  const tile = (/** @type {string} */ name) => a.page.locator(".tiles div", { has: a.page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").textContent();
  await eventually("one work period this week", () => tile("Work periods").catch(() => ""), (text) => text === "1");
  await a.page.locator(".bars[data-bars='7']").waitFor();
  await a.page.locator(".bars[data-bars='24']").waitFor();

  await desk.set("pomodoro", '{"action":"setup","work_duration":1500}');
  const b = await tab(browser, `${hub.url}?name=Vera`);
  await b.button("start").click();
  await b.says("Work");
  await b.button("reset").click();
  await eventually("what was broken off is here without a reload", () => tile("Broken off"), (text) => text === "1");
  await b.close();

  await a.page.getByText("As a table").click();
  assert.equal(await a.page.locator(".history-table tbody tr").count(), 1);
  await accessible(a.page, "history, week");
  await a.page.getByRole("radio", { name: "Day", exact: true }).check();
  const rows = a.page.locator(".table-scroll tbody tr");
  await eventually("both phases", () => rows.count(), (n) => n === 2);
  assert.match(String(await rows.nth(0).textContent()), /Work.*of 25:00.*broken off.*Vera/i);
  assert.match(String(await rows.nth(1).textContent()), /Work00:01completed/);
  assert.equal(await a.page.locator(".strip > .strip-block").count(), 2);
  await accessible(a.page, "history, day");

  const [download] = await Promise.all([a.page.waitForEvent("download"), a.page.getByRole("link", { name: "CSV" }).click()]);
  const table = readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert.equal(download.suggestedFilename(), "lockstep-main-history.csv");
  assert.equal(table.length, 3);
  assert.match(table[1], /^main,pomodoro,work,\d{4}-.*,1,1,completed,hub$/);
  assert.match(table[2], /,1500,.*,broken_off,web:Vera$/i);

  await a.page.getByRole("button", { name: "Earlier" }).click();
  await a.page.getByText("Nothing was finished in this time.").waitFor();
  await a.page.getByRole("button", { name: "Later" }).click();
  await eventually("and back", () => rows.count(), (n) => n === 2);
  await a.page.setViewportSize({ width: 320, height: 640 });
  await fits(a.page);
  await a.close();
  await desk.set("pomodoro", "reset");
});

test("each room has its own", async () => {
  const made = await fetch(`${hub.url}api/v1/rooms`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"Attic"}' });
  assert.equal(made.status, 201);
  const a = await tab(browser, `${hub.url}?view=history&room=attic`, { wait: "lockstep-history" });
  await a.page.getByText("Nothing was finished in this time.").waitFor();
  await a.page.getByLabel("Room", { exact: true }).selectOption("main");
  await eventually("the other room's", () => a.page.locator(".tiles dd").first().textContent(), (text) => text === "1");
  await a.page.getByRole("link", { name: "Room", exact: true }).click();
  await a.page.locator(".tomato-message").waitFor();
  assert.equal(await a.page.locator("lockstep-history").count(), 0);
  await a.close();
});

/** A year as somebody might have had it: no hub can be made to have one in a test's time, so the answer is given by the test. */
function aYear() {
  const phases = [];
  let seed = 7;
  const chance = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let back = 370; back >= 0; back--) {
    const day = new Date();
    day.setHours(8, 0, 0, 0);
    day.setDate(day.getDate() - back);
    if ([0, 6].includes(day.getDay()) ? chance() < 0.8 : chance() < 0.12) continue;
    let at = day.getTime() + chance() * 5_400_000;
    const periods = 2 + Math.floor(chance() * 11);
    for (let i = 0; i < periods; i++) {
      const long = i % 4 === 3;
      const broken = chance() < 0.07;
      const seconds = broken ? 300 + Math.floor(chance() * 900) : 1500;
      const common = { room: "main", thing: "pomodoro" };
      phases.push({ ...common, phase: "work", started_at: at, ended_at: (at += seconds * 1000), planned_seconds: 1500, actual_seconds: seconds, outcome: broken ? "broken_off" : "completed", by: broken ? "web:anna" : "hub" });
      at += 20_000;
      const pause = long ? 900 : 300;
      phases.push({ ...common, phase: long ? "long_break" : "short_break", started_at: at, ended_at: (at += pause * 1000), planned_seconds: pause, actual_seconds: pause, outcome: "completed", by: "hub" });
      at += i === 5 ? 3_600_000 : 30_000 + chance() * 600_000;
    }
  }
  return phases.filter((phase) => phase.ended_at <= Date.now());
}

test("a year is a map, a week is bars, a day is a line, on any screen", async () => {
  const year = aYear();
  for (const [name, options] of /** @type {const} */ ([["desktop-light", { viewport: { width: 1280, height: 900 } }], ["desktop-dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }], ["phone-light", { viewport: { width: 390, height: 844 } }], ["phone-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }]])) {
    const a = await tab(browser, hub.url, options);
    await a.live();
    await a.page.route("**/history?*", (route) => {
      const asked = new URL(route.request().url()).searchParams;
      const [from, until] = [Number(asked.get("from")), Number(asked.get("until"))];
      return route.fulfill({ json: { phases: year.filter((phase) => phase.ended_at >= from && phase.ended_at < until), next: null } });
    });
    await a.page.getByRole("link", { name: "History" }).click();
    for (const span of ["Week", "Year", "Day"]) {
      await a.page.getByRole("radio", { name: span, exact: true }).check();
      if (span === "Day" && year.at(-1).ended_at < new Date().setHours(0, 0, 0, 0)) await a.page.getByRole("button", { name: "Earlier" }).click();
      await a.page.locator({ Week: ".bars[data-bars='7']", Year: ".year .cell", Day: ".strip" }[span] ?? "").first().waitFor();
      await accessible(a.page, `history, ${span}, ${name}`);
      await fits(a.page);
      await a.page.screenshot({ animations: "disabled", fullPage: true, path: `${OUT}history-${span.toLowerCase()}-${name}.png` });
    }
    if (name === "desktop-light") assert.ok((await a.page.locator(".strip").count()) === 1);
    await a.close();
  }
});
