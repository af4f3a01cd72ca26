// @ts-check
/**
 * The first picture: the timers of the room as the hub says them, drawn from what first.js has asked for, with the few files
 * that this takes. It can only be looked at; the page itself (app.js) is loaded right behind it and takes its elements over.
 * What ticks, what is pressed and what is said beside the fruit does not belong here.
 */
import { el } from "./dom.js";
import { LockstepTomato, pictureOf } from "./elements/tomato.js";

/** How long the page's own files wait for the picture, which they would slow down; where the network is slow, they do not. */
const PAGE_WAITS_MAX_MS = 150;

/** @type {{socket: WebSocket, heard: MessageEvent[]}|null} */
const early = /** @type {any} */ (window).lockstepEarly ?? null;
const view = new URLSearchParams(location.search).get("view") ?? "room";
let going = false;

/** Brings the page that can be used, once. */
function goOn() {
  if (going) return;
  going = true;
  const files = /** @type {HTMLTemplateElement|null} */ (document.getElementById("page-files"));
  if (files) document.head.append(files.content);
  void import("./app.js").catch(comeBack);
}

/** The hub went away before the page was there: what is drawn is not live, and all is loaded anew as soon as somebody answers. */
async function comeBack(/** @type {unknown} */ error) {
  document.documentElement.dataset.link = "stale";
  if (!(error instanceof TypeError)) throw error; // no matter of the network
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    if ((await fetch("healthz", { cache: "no-store" }).catch(() => null))?.ok) return location.reload();
  }
}

/** Draws as soon as what was heard tells of the room's things and of the state of each of its timers. */
function look() {
  if (customElements.get("lockstep-room")) return early?.socket.removeEventListener("message", look); // it draws by itself
  if (!early?.heard.length) return;
  const [hello, ...frames] = early.heard.map((event) => JSON.parse(event.data));
  /** @type {Map<string, any>} */
  const known = new Map(frames.flatMap((frame) => frame.topics ?? [frame]).map(({ topic, payload }) => [topic, payload]));
  const info = known.get(`${hello.hub.root}/hub/info`);
  const id = hello.you.room ?? new URLSearchParams(location.search).get("room") ?? "main";
  const room = info?.rooms.find((/** @type {any} */ room) => room.id === id);
  const timers = (room?.things ?? []).filter((/** @type {any} */ thing) => thing.kind === "pomodoro");
  const states = timers.map((/** @type {any} */ thing) => known.get(`${hello.hub.root}/${id}/${thing.id}/state`));
  if (!states.length || states.includes(undefined)) return;
  const now = Date.now() + hello.now - (performance.timeOrigin + early.heard[0].timeStamp);
  const hero = el("div", { class: "card hero" });
  document.getElementById("main")?.append(el("lockstep-room", { inert: true }, hero, el("div", { class: "side" })));
  timers.forEach((/** @type {any} */ thing, /** @type {number} */ i) => {
    const tomato = new LockstepTomato();
    hero.append(el("lockstep-pomodoro", { thing: thing.id, name: thing.name }, tomato));
    tomato.show(pictureOf(states[i], now));
  });
  performance.mark("first-state");
  early.socket.removeEventListener("message", look);
  requestAnimationFrame(() => setTimeout(goOn));
}

if (early && (view === "room" || view === "wall")) {
  early.socket.addEventListener("message", look);
  early.socket.addEventListener("close", goOn);
  setTimeout(goOn, PAGE_WAITS_MAX_MS);
  look();
} else {
  goOn();
}
