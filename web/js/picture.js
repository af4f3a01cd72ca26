// @ts-check
/**
 * The first picture: the timers of the room as the hub says them, drawn from what first.js has asked for, with the few files
 * that this takes. It can only be looked at; the page itself (app.js) is loaded right behind it and takes its elements over.
 * Until then the picture follows the hub and the clock, and says when it cannot. What is pressed and what is said beside the fruit does
 * not belong here.
 */
import { el } from "./dom.js";
import { LockstepTomato, pictureOf } from "./elements/tomato.js";
import { translatePage } from "./i18n.js";

/** How long the page's own files wait for the picture, which they would slow down; where the network is slow, they do not. */
const PAGE_WAITS_MAX_MS = 150;
/** How long the picture stands for the page before it is marked as what it is: nothing that anybody can rely on. */
const ALONE_MAX_MS = 10_000;
/** How long the hub is given before it is looked for again. */
const LOOK_AGAIN_MS = 2_000;
/** A page that cannot be loaded by loading it anew is left alone after so many times. */
const RELOADS_MAX = 3;
const RELOADS = "lockstep.reloads";

/** @type {{socket: WebSocket, heard: MessageEvent[]}|null} */
const early = /** @type {any} */ (window).lockstepEarly ?? null;
const chosen = new URLSearchParams(location.search);
/** The fruits that are drawn, by their things. @type {Map<string, LockstepTomato>} */
const drawn = new Map();
let going = false;

/** Whether the page is there, which draws by itself. */
const taken = () => customElements.get("lockstep-room") !== undefined;

/** Brings the page that can be used, once. */
function goOn() {
  if (going) return;
  going = true;
  const files = /** @type {HTMLTemplateElement|null} */ (document.getElementById("page-files"));
  if (files) document.head.append(files.content);
  import("./app.js").then(() => sessionStorage.removeItem(RELOADS), comeBack).catch(() => {});
}

/** What is drawn is not live. */
function markOld() {
  if (!taken()) document.documentElement.dataset.link = "stale";
}

/** The page did not come: all is loaded anew as soon as the hub answers, but not for ever, for the fault may be another. */
async function comeBack(/** @type {unknown} */ error) {
  document.documentElement.dataset.link = "stale";
  const times = Number(sessionStorage.getItem(RELOADS) ?? "0");
  if (times >= RELOADS_MAX) throw error;
  sessionStorage.setItem(RELOADS, String(times + 1));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    if ((await fetch("healthz", { cache: "no-store" }).catch(() => null))?.ok) return location.reload();
  }
}

/** The greeting, with how far the hub's clock is ahead, and what is known since. @type {{id: string, root: string, aheadMs: number}|null} */
let hub = null;
/** @type {Map<string, any>} */
const known = new Map();
let read = 0;

/** Reads what is new, and tells each timer of the room with its state; null where that is not all yet. */
function heard() {
  for (; early && read < early.heard.length; read += 1) {
    const event = early.heard[read];
    const frame = JSON.parse(event.data);
    if (!hub) hub = { id: frame.you.room ?? chosen.get("room") ?? "main", root: frame.hub.root, aheadMs: frame.now - (performance.timeOrigin + event.timeStamp) };
    for (const { topic, payload } of frame.topics ?? [frame]) if (topic) known.set(topic, payload);
  }
  if (!hub) return null;
  const { id, root } = hub;
  const room = known.get(`${root}/hub/info`)?.rooms.find((/** @type {any} */ room) => room.id === id);
  const things = (room?.things ?? []).filter((/** @type {any} */ thing) => thing.kind === "pomodoro");
  const timers = things.map((/** @type {any} */ thing) => ({ thing, state: known.get(`${root}/${id}/${thing.id}/state`) }));
  if (!timers.length || timers.some((/** @type {any} */ timer) => !timer.state)) return null;
  return { timers, now: Date.now() + hub.aheadMs };
}

/** Draws what was heard, again when something new was, and each second. */
function draw() {
  if (taken()) return early?.socket.removeEventListener("message", draw);
  const room = heard();
  if (!room) return;
  const first = drawn.size === 0;
  if (first) {
    const hero = el("div", { class: "card hero" });
    document.getElementById("main")?.append(el("lockstep-room", { inert: true }, hero, el("div", { class: "side" })));
    for (const { thing } of room.timers) {
      const tomato = new LockstepTomato();
      hero.append(el("lockstep-pomodoro", { thing: thing.id, name: thing.name }, el("h2", { class: room.timers.length > 1 ? "" : "visually-hidden", text: thing.name }), tomato));
      drawn.set(thing.id, tomato);
    }
  }
  for (const { thing, state } of room.timers) drawn.get(thing.id)?.show(pictureOf(state, room.now));
  if (!first) return;
  performance.mark("first-state");
  requestAnimationFrame(() => setTimeout(goOn));
  setTimeout(markOld, ALONE_MAX_MS);
  const ticking = setInterval(() => (taken() ? clearInterval(ticking) : draw()), 1_000);
}

translatePage();
if (early && ["room", "wall"].includes(chosen.get("view") ?? "room")) {
  early.socket.addEventListener("message", draw);
  early.socket.addEventListener("close", () => (markOld(), goOn()));
  setTimeout(goOn, PAGE_WAITS_MAX_MS);
  draw();
} else {
  goOn();
}
