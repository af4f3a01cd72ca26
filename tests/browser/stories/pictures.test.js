// @ts-check
/** Every view as a picture, on a phone and a desktop, light and dark; each without an axe violation and within the window. */
import { after, before, test } from "node:test";
import { accessible, fits, launch, OUT, tab } from "./browser.js";
import { Hub } from "./hub.js";

/** @type {Hub} */ let hub;
/** @type {import("playwright-core").Browser} */ let browser;
before(async () => {
  [hub, browser] = await Promise.all([Hub.start(), launch()]);
  const desk = await hub.client();
  for (const [id, name, state] of [["window-box", "Window box", "online"], ["door-box", "Door box", "offline"]]) {
    await desk.client.publishAsync(`lockstep/device/${id}/info`, JSON.stringify({ name, room: "main" }), { retain: true, qos: 1 });
    await desk.client.publishAsync(`lockstep/device/${id}/availability`, state, { retain: true, qos: 1 });
  }
  for (const [topic, value] of [["home/kitchen/light", "on"], ["home/kitchen/temperature", '{"celsius":21.5}'], ["home/hall/motion", "no"]]) await desk.client.publishAsync(topic, value, { retain: true, qos: 1 });
  await desk.set("slider1", 64);
  await desk.set("slider2", 28);
  await fetch(`${hub.url}api/v1/publish`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"topic":"lockstep/main/pomodoro/set","payload":"start","name":"Anna"}' });
});
after(async () => void (await Promise.allSettled([browser?.close(), hub?.end()])));

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
/** A view's address, what is opened in it, and what shows that it is there. @type {Record<string, {path?: string, open?: string, there: string}>} */
const VIEWS = {
  room: { there: ".tomato-message" },
  wall: { path: "?view=wall", there: ".tomato-message" },
  topics: { path: "?view=topics", there: ".topic-row" },
  history: { path: "?view=history", there: ".tiles" },
  settings: { open: "lockstep-settings", there: "dialog[open] .facts" },
  "this-room": { open: "lockstep-rooms", there: "dialog[open] .present-name" },
  share: { open: "lockstep-share", there: "dialog[open] .qr svg" },
  login: { path: "login", there: "#user-form" },
};

/** @param {string} screen @param {import("playwright-core").BrowserContextOptions} options @param {string[]} [views] */
async function pictures(screen, options, views = Object.keys(VIEWS)) {
  for (const view of views) {
    const { path = "", open, there } = VIEWS[view];
    const a = await tab(browser, `${hub.url}${path}`, { ...options, reducedMotion: "reduce", wait: path ? there : ".tomato-message" });
    if (path !== "login") await a.live();
    if (!path) await a.page.locator("main").click({ position: { x: 2, y: 2 } }); // after a touch alarms may be heard, and the page says no more of it
    if (open) await a.page.locator(`${open} > button`).click();
    await a.page.locator(there).first().waitFor();
    await accessible(a.page, `${view}, ${screen}`);
    await fits(a.page);
    await a.page.screenshot({ animations: "disabled", path: `${OUT}view-${view}-${screen}.png` });
    await a.close();
  }
}

for (const [screen, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) test(`${screen}, ${colorScheme}`, () => pictures(`${screen}-${colorScheme}`, { ...size, colorScheme }));
}

test("the longer words in the narrowest window", () => pictures("narrow-german", { locale: "de-CH", viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }));

test("a projector", () => pictures("projector", { viewport: { width: 3840, height: 2160 } }, ["wall", "room"]));
