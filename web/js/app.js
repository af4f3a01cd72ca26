// @ts-check
/** Starts the page: connection, elements, the view that the address names. */
import { client, roomInAddress, store } from "./page.js";
import { attendWith, painted } from "./title.js";
import "./elements/banner.js";
import "./elements/room.js";
import "./elements/room-title.js";

const VIEWS = ["room", "topics", "history", "wall"];
/** Views that are loaded when somebody wants them: the element's name and what brings it. @type {Record<string, () => Promise<any>>} */
const LATE = {
  topics: () => Promise.all([import("./elements/topics.js"), style("css/views.css")]),
  history: () => Promise.all([import("./elements/history.js"), style("css/history.css")]),
};

/** A part of the page that did not come is asked for again after this long. */
const AGAIN_MS = 4_000;

// The first picture's, unless there was none.
const room = /** @type {HTMLElement} */ (document.querySelector("lockstep-room") ?? document.createElement("lockstep-room"));
if (!room.isConnected) document.getElementById("main")?.append(room);

/** Shows what the address says. */
async function show() {
  const focused = document.activeElement;
  const wanted = new URL(location.href).searchParams.get("view") ?? "room";
  const view = VIEWS.includes(wanted) ? wanted : "room";
  document.documentElement.dataset.view = view;
  store.enter(roomInAddress());
  try {
    await LATE[view]?.();
  } catch {
    return later(() => document.documentElement.dataset.view === view && void show());
  }
  if (document.documentElement.dataset.view !== view) return; // somebody went on meanwhile
  const main = document.getElementById("main");
  for (const name of Object.keys(LATE)) {
    const there = document.querySelector(`lockstep-${name}`);
    if (name !== view) there?.remove();
    else if (!there) main?.append(document.createElement(`lockstep-${name}`));
  }
  room.hidden = view in LATE;
  if (focused && !focused.checkVisibility()) main?.focus({ preventScroll: true });
  for (const link of document.querySelectorAll("[data-view-link]")) {
    if (link.getAttribute("data-view-link") === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    const url = new URL(location.href);
    url.searchParams.set("view", link.getAttribute("data-view-link") ?? "room");
    if (url.searchParams.get("view") === "room") url.searchParams.delete("view");
    link.setAttribute("href", url.search || "?");
  }
}

/** Loads a style sheet once; resolves when it counts. @returns {Promise<void>} */
function style(/** @type {string} */ href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  return new Promise((resolve, reject) => {
    link.onload = () => resolve();
    link.onerror = () => (link.remove(), reject(new Error(href)));
    document.head.append(link);
  });
}

/** Goes to another place of the page without loading it anew. */
function go(/** @type {string} */ search) {
  history.pushState(null, "", search);
  void show();
}

addEventListener("popstate", () => void show());
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-view-link]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href") ?? "?");
});
addEventListener("enterroom", (event) => {
  const url = new URL(location.href);
  url.searchParams.set("room", /** @type {CustomEvent} */ (event).detail);
  go(url.search);
});
document.getElementById("full-screen")?.addEventListener("click", () => void document.documentElement.requestFullscreen?.());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.documentElement.dataset.view === "wall" && !document.fullscreenElement) go("?" + new URLSearchParams({ room: store.roomId }));
});

void show();

/** Does `act` when the hub is back, or soon, where it was one request alone that failed. */
function later(/** @type {() => void} */ act) {
  const again = () => {
    stop();
    clearTimeout(timer);
    act();
  };
  const stop = client.on("hello", again);
  const timer = setTimeout(again, AGAIN_MS);
}

/** Loads the rest of the page; what does not come is tried again. */
async function complete() {
  try {
    const [rest] = await Promise.all([import("./rest.js"), style("css/views.css")]);
    attendWith(rest.attend);
  } catch {
    return later(() => void complete());
  }
  // Where the browser allows it (HTTPS or this machine): the page that says when the hub is away.
  if (isSecureContext) await navigator.serviceWorker?.register("sw.js").catch(() => {});
  performance.mark("complete");
}
void painted.then(complete);

// Nobody comes back by waiting where the hub wants to know who they are: a login that ended, a PIN that was taken away.
let asked = false;
client.on("status", async ({ state }) => {
  if (state !== "waiting" || asked) return;
  asked = true;
  const answer = await fetch("api/v1/me").catch(() => null);
  if (answer?.status === 401) location.replace("login");
  asked = false;
});
