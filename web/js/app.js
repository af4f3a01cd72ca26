// @ts-check
/** Starts the page: language, connection, elements, the view that the address names, the tab's title. */
import { choose, language, load, t } from "./i18n.js";
import { client, roomInAddress, store } from "./page.js";
import { remembered } from "./theme.js";

const VIEWS = ["room", "topics", "history", "wall"];
/** Views that are loaded when somebody wants them: the element's name and what brings it. @type {Record<string, () => Promise<any>>} */
const LATE = {
  topics: () => import("./elements/topics.js"),
  history: () => Promise.all([import("./elements/history.js"), style("css/history.css")]),
};

client.connect(); // the socket opens while the rest is loaded
await load(choose([remembered("lockstep.language") ?? "", ...navigator.languages]));
document.documentElement.lang = language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(/** @type {any} */ (element.getAttribute("data-text")));
for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(/** @type {any} */ (element.getAttribute("data-label"))));
const { attend } = await import("./attention.js");

addEventListener("phase", (event) => {
  const { state, message, time } = /** @type {CustomEvent} */ (event).detail;
  const timed = state.phase === "idle" || state.phase.endsWith("_alarm") ? message : `${time} · ${message}`;
  const title = `${state.paused ? "⏸ " : ""}${timed} – ${store.room?.name ?? "Lockstep"}`;
  if (document.title !== title) document.title = title;
  attend(state, message, store.live);
  if (!performance.getEntriesByName("first-state").length) performance.mark("first-state");
});

/** Shows what the address says. */
async function show() {
  const wanted = new URL(location.href).searchParams.get("view") ?? "room";
  const view = VIEWS.includes(wanted) ? wanted : "room";
  document.documentElement.dataset.view = view;
  store.enter(roomInAddress());
  await LATE[view]?.();
  if (document.documentElement.dataset.view !== view) return; // somebody went on meanwhile
  const main = document.getElementById("main");
  for (const name of Object.keys(LATE)) {
    const there = document.querySelector(`lockstep-${name}`);
    if (name !== view) there?.remove();
    else if (!there) main?.append(document.createElement(`lockstep-${name}`));
  }
  const room = document.querySelector("lockstep-room");
  if (room) /** @type {HTMLElement} */ (room).hidden = view in LATE;
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

await Promise.all([
  import("./elements/banner.js"),
  import("./elements/alerts.js"),
  import("./elements/theme-toggle.js"),
  import("./elements/settings.js"),
  import("./elements/share.js"),
  import("./elements/rooms.js"),
  import("./elements/room-title.js"),
  import("./elements/room.js"),
]);
await show();

// Nobody comes back by waiting where the hub wants to know who they are: a login that ended, a PIN that was taken away.
let asked = false;
client.on("status", async ({ state }) => {
  if (state !== "waiting" || asked) return;
  asked = true;
  const answer = await fetch("api/v1/me").catch(() => null);
  if (answer?.status === 401) location.replace("login");
  asked = false;
});

// Where the browser allows it (HTTPS or this machine): the page that says when the hub is away.
if (isSecureContext) void navigator.serviceWorker?.register("sw.js").catch(() => {});
