// @ts-check
/** Several rooms: chosen in the address and in the head, kept apart, shared by link and QR code. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import jsqr from "jsqr";
import { accessible, fits, launch, OUT, tab } from "./browser.js";
import { eventually, Hub } from "./hub.js";

const folder = mkdtempSync(join(tmpdir(), "lockstep-rooms-"));
/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => {
  const config = join(folder, "hub.toml");
  writeFileSync(config, '[[rooms]]\nid = "main"\nname = "Main"\n\n[[rooms]]\nid = "kitchen"\nname = "Küche"\n\n[[rooms.things]]\nid = "pomodoro"\nkind = "pomodoro"\nname = "Pomodoro"\n\n[[rooms.things]]\nid = "oven"\nkind = "slider"\nname = "Ofen"\nmin = 50\nmax = 250\nstep = 5\nstart = 50\n');
  [hub, browser] = await Promise.all([Hub.start("--config", config), launch()]);
});
after(async () => {
  await Promise.allSettled([browser?.close(), hub?.end()]);
  rmSync(folder, { recursive: true, force: true });
});

test("the address names the room, the head goes to another, and back goes back", async () => {
  const a = await tab(browser, `${hub.url}?room=kitchen`);
  await a.live();
  await a.shows("oven", "50");
  assert.equal(await a.page.getByRole("heading", { level: 1 }).textContent(), "Küche");
  await a.slider("oven").focus();
  await a.page.keyboard.press("ArrowRight");
  await a.shows("oven", "55");
  await a.page.locator(".tomato").click();
  await a.says("Work");

  await a.page.getByLabel("Room", { exact: true }).selectOption("main");
  await a.says("Press Me!");
  await a.shows("slider1", "0");
  assert.equal(await a.page.locator('lockstep-slider[thing="oven"]').count(), 0);
  assert.match(a.page.url(), /room=main/);
  await a.page.goBack();
  await a.says("Work");
  await a.shows("oven", "55");
  await accessible(a.page, "a room among several");
  await a.page.setViewportSize({ width: 320, height: 640 });
  await fits(a.page);
  await a.close();
});

test("a room that does not exist is said", async () => {
  const a = await tab(browser, `${hub.url}?room=nowhere`, { wait: "" });
  await a.page.getByText("There is no room «nowhere»").waitFor();
  await accessible(a.page, "no such room");
  await a.close();
});

test("the QR code is the room's address", async () => {
  const a = await tab(browser, `${hub.url}?room=kitchen`);
  await a.live();
  await a.page.getByRole("button", { name: "Share this room" }).click();
  const dialog = a.page.getByRole("dialog", { name: "Share this room" });
  await dialog.getByText("only on this machine").waitFor();
  assert.equal(await dialog.getByRole("textbox", { name: "The room's address" }).inputValue(), `${hub.url}?room=kitchen`);
  const pixels = await a.page.evaluate(async () => {
    const picture = /** @type {SVGElement} */ (document.querySelector(".qr svg")).cloneNode(true);
    /** @type {Element} */ (picture).setAttribute("width", "400");
    /** @type {Element} */ (picture).setAttribute("height", "400");
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(picture))}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 400;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(image, 0, 0, 400, 400);
    return [...context.getImageData(0, 0, 400, 400).data];
  });
  assert.equal(/** @type {any} */ (jsqr)(new Uint8ClampedArray(pixels), 400, 400)?.data, `${hub.url}?room=kitchen`);
  await accessible(a.page, "share");
  await a.page.screenshot({ animations: "disabled", path: `${OUT}share.png` });
  await dialog.getByRole("button", { name: "Copy the link" }).click();
  await eventually("an answer", () => dialog.locator(".setup-actions [role=status]").textContent(), (text) => /Copied|Selected/.test(text ?? ""));
  await a.close();
});
