// @ts-check
/** Who may do what: logging in, a class whose teacher controls, guests with a PIN, rooms that come and go. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BINARY, eventually, Hub } from "./hub.js";
import { accessible, fits, launch, OUT, tab } from "./browser.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;

/** Users teacher (admin) and pupil (viewer); nobody else is let in. */
before(async () => {
  hub = new Hub();
  hub.http = "0.0.0.0:0"; // loopback alone would make everybody an admin
  for (const [name, role] of [["teacher", "admin"], ["pupil", "viewer"]]) {
    const file = join(hub.dir, `${name}.txt`);
    writeFileSync(file, `${name} word\n`);
    const made = spawnSync(BINARY, ["--data-dir", hub.dir, "passwd", name, "--role", role, "--password-file", file]);
    assert.equal(made.status, 0, String(made.stderr));
  }
  hub.more = ["--set", "security.anonymous=none"];
  [, browser] = await Promise.all([hub.start(), launch()]);
  hub.http = hub.http.replace("0.0.0.0", "127.0.0.1");
});
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

/** @param {string} name @param {import("playwright-core").BrowserContextOptions} [options] */
async function loggedIn(name, options = {}) {
  const a = await tab(browser, hub.url, { wait: "#user-form", ...options });
  await a.page.getByLabel("User").fill(name);
  await a.page.getByLabel("Password").fill(`${name} word`);
  await a.page.getByRole("button", { name: "Log in" }).click();
  await a.page.locator(".tomato-message").waitFor();
  await a.live();
  return a;
}

test("the form lets in, says why not, and logging out is the end", async () => {
  const a = await tab(browser, hub.url, { wait: "#user-form" });
  assert.match(a.page.url(), /\/login$/);
  await accessible(a.page, "log in");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}login.png` });
  await a.page.getByLabel("User").fill("teacher");
  await a.page.getByLabel("Password").fill("wrong");
  await a.page.keyboard.press("Enter");
  await a.page.getByRole("alert").getByText("Wrong user name or password").waitFor();
  await a.page.getByLabel("Password").fill("teacher word");
  await a.page.keyboard.press("Enter");
  await a.says("Press Me!");
  await a.live();
  await a.page.getByRole("button", { name: "Settings" }).click();
  await a.page.getByRole("button", { name: "Log out" }).click();
  await a.page.locator("#user-form").waitFor();
  await a.page.goto(hub.url);
  await a.page.locator("#user-form").waitFor();
  assert.match(a.page.url(), /\/login$/, "the cookie is void");
  a.complaints.splice(0, a.complaints.length, ...a.complaints.filter((text) => !/401/.test(text)));
  await a.close();
});

test("without its script the form works all the same", async () => {
  const a = await tab(browser, `${hub.url}login`, { javaScriptEnabled: false, wait: "#user-form" });
  await a.page.getByLabel("User").fill("pupil");
  await a.page.getByLabel("Password").fill("no");
  await a.page.getByRole("button", { name: "Log in" }).click();
  await a.page.getByText("Wrong user name or password.").waitFor();
  await a.context.close();
});

test("a class: the teacher controls, thirty pupils see it and cannot touch it", async () => {
  const teacher = await loggedIn("teacher");
  const pupil = await loggedIn("pupil");
  const cookies = await pupil.context.cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  // The other 29 are the same file that the page uses, without a page.
  const { LockstepClient } = await import("../../../web/js/client.js");
  const { WebSocket } = await import("ws");
  class LoggedIn extends WebSocket {
    /** @param {string} url @param {string} protocol */
    constructor(url, protocol) {
      super(url, protocol, { headers: { cookie } });
    }
  }
  const others = Array.from({ length: 29 }, () => {
    const client = new LockstepClient({ url: hub.url, WebSocket: LoggedIn }).connect();
    client.subscribe("lockstep/main/#");
    return client;
  });
  const phases = () => others.map((client) => client.value("lockstep/main/pomodoro/state")?.payload.phase);
  await eventually("all are there", phases, (all) => all.every((phase) => phase === "idle"));

  await teacher.button("start").click();
  await pupil.says("Work");
  await eventually("all thirty see it", phases, (all) => all.every((phase) => phase === "work"));
  await pupil.page.getByText("your role here is viewer").waitFor();
  for (const control of [".tomato", '[data-command="stop"]', 'lockstep-slider[thing="slider1"] input', "#setup-pomodoro-work_duration"]) {
    const [disabled, why] = await pupil.page.locator(control).evaluate((element) => [element.getAttribute("aria-disabled") === "true" || /** @type {any} */ (element).disabled === true, document.getElementById(element.getAttribute("aria-describedby") ?? "")?.textContent ?? ""]);
    assert.ok(disabled, `${control} is not disabled`);
    assert.match(why, /your role here is viewer/, `${control} does not say why`);
  }
  await pupil.page.locator(".tomato").click({ force: true });
  await pupil.slider("slider1").focus().catch(() => {});
  await pupil.page.keyboard.press("ArrowRight");
  assert.equal(await pupil.value("slider1"), "0");
  await pupil.says("Work");
  await assert.rejects(others[0].publish("lockstep/main/pomodoro/set", "stop"), (error) => /** @type {any} */ (error).code === "forbidden");
  await accessible(pupil.page, "viewer");
  await pupil.page.screenshot({ animations: "disabled", path: `${OUT}viewer.png` });
  await pupil.page.getByRole("button", { name: "This room", exact: true }).click();
  await pupil.page.getByText("Only an admin may do this; your role here is viewer.").first().waitFor();
  assert.ok(await pupil.page.getByLabel("Name of this room").isDisabled());
  await pupil.page.getByRole("dialog", { name: "This room" }).getByRole("button", { name: "Close" }).click();
  await teacher.button("reset").click();
  await pupil.says("Press Me!");
  for (const client of others) client.close();
  await Promise.all([teacher.close(), pupil.close()]);
});

test("a room is made, renamed, shared with guests by a PIN, and deleted", async () => {
  const a = await loggedIn("teacher");
  await a.page.getByRole("button", { name: "This room", exact: true }).click();
  const dialog = a.page.getByRole("dialog", { name: "This room" });
  await dialog.getByLabel("A further room").fill("Class 7b");
  await dialog.getByRole("button", { name: "Create" }).click();
  await eventually("it is entered", () => a.page.url(), (url) => url.includes("room=class-7b"));
  await a.says("Press Me!");
  await a.page.getByRole("button", { name: "This room", exact: true }).click();
  await dialog.getByLabel("Name of this room").fill("Class 8b");
  await dialog.getByRole("button", { name: "Rename" }).click();
  await dialog.getByText("Renamed.").waitFor();
  await accessible(a.page, "this room");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}room-dialog.png` });
  await dialog.getByRole("button", { name: "Close" }).click();
  await eventually("the head says so", () => a.page.getByRole("heading", { level: 1 }).textContent(), (text) => text === "Class 8b");

  await a.page.getByRole("button", { name: "Share this room" }).click();
  const share = a.page.getByRole("dialog", { name: "Share this room" });
  await share.getByLabel("With the PIN they may").selectOption("member");
  await share.getByRole("button", { name: "Make a PIN" }).click();
  const told = await eventually("a PIN", () => share.locator(".guest-pin").textContent(), (text) => /\d{4} \d{4}/.test(text ?? ""));
  const pin = String(told).match(/\d{4} \d{4}/)?.[0] ?? "";
  const invitation = await share.getByRole("textbox", { name: "The room's address" }).inputValue();
  assert.equal(invitation, `${hub.url}login#room=class-7b&pin=${pin.replace(" ", "")}`);
  await accessible(a.page, "a PIN");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}pin.png` });
  await share.getByRole("button", { name: "Close" }).click();

  const scanned = await tab(browser, invitation);
  await scanned.live();
  assert.ok(!scanned.page.url().includes("pin"), "the PIN is not in the address any more");
  assert.equal(await scanned.page.getByLabel("Room", { exact: true }).isVisible(), false, "a guest has one room");
  await scanned.button("start").click();
  await a.says("Work");
  const typed = await tab(browser, `${hub.url}login`, { wait: "#user-form", viewport: { width: 320, height: 640 } });
  await typed.page.getByText("I am a guest and have a PIN").click();
  await fits(typed.page);
  await typed.page.getByLabel("Room").fill("class-7b");
  await typed.page.getByLabel("PIN", { exact: true }).fill(pin);
  await typed.page.getByRole("button", { name: "Come in" }).click();
  await typed.says("Work");

  await a.page.getByRole("button", { name: "Share this room" }).click();
  await share.getByRole("button", { name: "End the PIN" }).click();
  await share.getByText("The PIN is void").waitFor();
  await share.getByRole("button", { name: "Close" }).click();
  for (const guest of [scanned, typed]) {
    await guest.page.locator("#user-form").waitFor();
    guest.complaints.splice(0, guest.complaints.length, ...guest.complaints.filter((text) => !/401/.test(text)));
    await guest.close();
  }

  await a.page.getByRole("button", { name: "This room", exact: true }).click();
  await dialog.getByRole("button", { name: "Delete this room" }).click();
  const sure = a.page.getByRole("dialog", { name: "Delete the room «Class 8b»?" });
  await sure.getByRole("button", { name: "Cancel" }).click();
  await dialog.getByRole("button", { name: "Delete this room" }).click();
  await sure.getByRole("button", { name: "Delete this room" }).click();
  await eventually("back in main", () => a.page.url(), (url) => url.includes("room=main"));
  await a.says("Press Me!");
  await a.page.getByRole("button", { name: "This room", exact: true }).click();
  await dialog.getByRole("button", { name: "Delete this room" }).click();
  await a.page.getByRole("dialog", { name: /^Delete the room/ }).getByRole("button", { name: "Delete this room" }).click();
  await eventually("a room of the configuration stays, and the hub's reason is told", () => dialog.locator("[data-wrong]").textContent().catch(() => ""), (text) => /configuration/.test(text ?? ""));
  a.complaints.splice(0, a.complaints.length, ...a.complaints.filter((text) => !/403/.test(text)));
  await a.close();
});
