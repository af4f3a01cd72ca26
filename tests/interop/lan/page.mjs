// The printed link in Chromium: it logs in, once, and its code shows up nowhere. page.mjs LINK ADMIN_PASSWORD
import assert from "node:assert/strict";
import { chromium } from "../../browser/node_modules/playwright-core/index.mjs";

const [link, password] = process.argv.slice(2);
const code = new URL(link).hash.slice("#code=".length);
const page_url = new URL("./", link).href;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
try {
  const phone = await (await browser.newContext()).newPage();
  /** Everything that a server gets to see. @type {string[]} */
  const asked = [];
  phone.on("request", (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`));
  phone.on("console", (message) => console.log(`the page says: ${message.text()}`));
  phone.on("pageerror", (error) => console.log(`the page fails: ${error}`));
  await phone.goto(link);
  await phone.locator(".tomato-message").first().waitFor({ timeout: 60_000 });
  await phone.waitForFunction(() => document.documentElement.dataset.link === "live", null, { timeout: 60_000 });
  assert.equal(phone.url(), page_url);
  assert.ok(asked.every((request) => !request.split("#")[0].includes(code)), "the code is in an address or a header");
  const slider = phone.locator('lockstep-slider[thing="slider1"]');
  await slider.locator("input").focus();
  await phone.keyboard.press("End");
  await phone.waitForFunction(() => document.querySelector('lockstep-slider[thing="slider1"] output')?.textContent === "100", null, { timeout: 60_000 });
  const cookies = await phone.context().cookies();
  assert.ok(cookies.some((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"), JSON.stringify(cookies));

  // The same link is worth nothing to the next one, who gets the form.
  const other = await (await browser.newContext()).newPage();
  await other.goto(link);
  await other.getByRole("alert").waitFor({ timeout: 60_000 });
  assert.match(String(await other.getByRole("alert").textContent()), /used already/);
  await other.goto(page_url);
  assert.match(other.url(), /\/login$/);
  await other.getByLabel("User").fill("admin");
  await other.getByLabel("Password").fill(password);
  await other.getByRole("button").click();
  await other.locator(".tomato-message").first().waitFor({ timeout: 60_000 });
} catch (error) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) console.log(`${page.url()}: ${(await page.innerText("body").catch(() => "")).slice(0, 500)}`);
  throw error;
} finally {
  await browser.close();
}
