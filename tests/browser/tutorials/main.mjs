// Two tabs of each tutorial's page, and the hub between them.

import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

import { assert, eventually, pause } from "../../interop/socketio/check.mjs";
import { startHub } from "../../interop/socketio/hub.mjs";

const require = createRequire(import.meta.url);
const LIBRARIES = {
  "jquery.js": require.resolve("jquery/dist/jquery.js"),
  ...Object.fromEntries(["2", "3", "4"].map((version) => [
    `socket.io-${version}.js`,
    join(require.resolve(`socket.io-client-${version}/package.json`), "../dist/socket.io.js"),
  ])),
};

/** A development server on a port of its own: another origin than the hub's. */
async function serve() {
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1);
    const library = name.startsWith("lib/") ? LIBRARIES[name.slice(4)] : undefined;
    try {
      const body = library ? readFileSync(library) : page(name, "/lib");
      response.setHeader("content-type", library ? "text/javascript" : "text/html");
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** @param {string} name @param {string} libraries where they are */
function page(name, libraries) {
  const file = new URL(`pages/${name.replaceAll("/", "")}`, import.meta.url);
  return readFileSync(file, "utf8").replaceAll("LIB/", `${libraries}/`);
}

const hub = await startHub(["elsewhere"], ["socketio.tutorials=true"]);
const server = await serve();
const site = `http://localhost:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

/** Two tabs that share nothing. */
async function tabs(url) {
  return await Promise.all([1, 2].map(async () => {
    const tab = await (await browser.newContext()).newPage();
    tab.setDefaultTimeout(15_000);
    await tab.goto(url);
    return tab;
  }));
}

/** @param {import("playwright-core").Page} tab @param {string} selector @param {(text: string) => boolean} fits */
async function shows(tab, selector, fits) {
  let text;
  const look = async () => fits((text = await tab.locator(selector).textContent()));
  await eventually(`${selector} of ${tab.url()}`, look, () => text);
  return text;
}

async function timer() {
  const [one, other] = await tabs(`${site}/timer.html`);
  await pause(500);
  await one.click("#start");
  for (const tab of [one, other]) await shows(tab, "#time", (text) => /^00:24:5\d$/.test(text));
  await one.click("#start");
  await shows(one, "#error", (text) => text === "Timer already started");
  assert.equal(await other.locator("#error").textContent(), "", "errors go to the asker alone");
  await other.click("#stop");
  const time = () => Promise.all([one, other].map((tab) => tab.locator("#time").textContent()));
  await one.click("#stop");
  await shows(one, "#error", (text) => text === "Timer already stopped");
  const stopped = await time();
  assert.equal(stopped[0], stopped[1]);
  await pause(1500);
  assert.deepEqual(await time(), stopped, "it stands still");
  const late = (await tabs(`${site}/timer.html`))[0];
  await shows(late, "#time", (text) => text === stopped[0]);
}

/** @param {string} url */
async function slider(url) {
  const [one, other] = await tabs(url);
  for (const tab of [one, other]) await shows(tab, "#greeting", (text) => text.length > 0);
  const value = (tab, id) => tab.locator(`#${id}`).inputValue();
  for (let n = 0; n <= 50; n += 1) {
    await one.locator("#slider1").evaluate((input, n) => {
      input.value = String(n);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }, n);
  }
  await eventually("the other page follows", async () => (await value(other, "slider1")) === "50", () => undefined);
  await other.locator("#slider2").fill("7");
  await eventually("and back", async () => (await value(one, "slider2")) === "7", () => undefined);
  const late = (await tabs(url))[0];
  await eventually("a newcomer", async () => (await value(late, "slider1")) === "50" && (await value(late, "slider2")) === "7");
  // Back to the start for the next round.
  for (const id of ["slider1", "slider2"]) await one.locator(`#${id}`).fill("0");
  await eventually("reset", async () => (await value(other, "slider1")) === "0" && (await value(other, "slider2")) === "0");
}

async function course() {
  // The hub's own address: not one of the tutorials' ports.
  const [one, other] = await tabs(`${site}/course.html?hub=${encodeURIComponent(hub.http.replace("127.0.0.1", "localhost"))}`);
  const says = async (message) => {
    for (const tab of [one, other]) await shows(tab, "#text-message", (text) => text === message);
  };
  await shows(one, "#text-message", (text) => text.length > 0);
  for (const [id, text] of [["work-duration", "1"], ["break-duration", "1"], ["number-cycles", "1"]]) {
    await one.locator(`#${id}`).selectOption(text);
  }
  await one.click("#save");
  await says("Press Me!");
  for (const id of ["work-duration", "break-duration", "number-cycles"]) {
    await eventually(`${id} in the other tab`, async () => (await other.locator(`#${id}`).inputValue()) === "1");
  }
  await one.click("#tomato");
  await says("Break time");
  await other.click("#tomato");
  await says("Back to work");
  await one.click("#tomato");
  await says("Break time");
  await one.click("#tomato");
  await says("Long break time");
  await other.click("#tomato");
  await says("Press Me!");
}

/** A page of a site that nobody allowed gets nothing. */
async function stranger() {
  const tab = await (await browser.newContext()).newPage();
  // Every name of the form *.localhost leads to this machine, but it is another site.
  await tab.goto(`http://evil.localhost:${server.address().port}/timer.html`);
  await pause(2500);
  assert.equal(await tab.evaluate("socket.connected"), false);
}

const folder = mkdtempSync(join(tmpdir(), "tutorial-"));
for (const [name, path] of Object.entries(LIBRARIES)) writeFileSync(join(folder, name), readFileSync(path));
writeFileSync(join(folder, "slider.html"), page("slider.html", "."));

let failed = 0;
for (const [name, story] of Object.entries({
  "timer demo": timer,
  "slider demo": () => slider(`${site}/slider.html`),
  "slider demo, opened as a file": () => slider(pathToFileURL(join(folder, "slider.html")).href),
  "course page": course,
  "a stranger's page": stranger,
})) {
  try {
    await story();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
await browser.close();
server.close();
rmSync(folder, { recursive: true, force: true });
await hub.stop();
console.log(failed ? `${failed} failed` : "5 passed, 0 failed");
process.exit(failed ? 1 : 0);
