// @ts-check
/** Starts the page: language, connection, elements, the tab's title. */
import { choose, load, t } from "./i18n.js";
import { client, store } from "./page.js";
import { remembered } from "./theme.js";

client.connect(); // the socket opens while the rest is loaded
await load(choose([remembered("lockstep.language") ?? "", ...navigator.languages]));
document.documentElement.lang = (await import("./i18n.js")).language;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(/** @type {any} */ (element.getAttribute("data-text")));

addEventListener("phase", (event) => {
  const { state, message, time } = /** @type {CustomEvent} */ (event).detail;
  const timed = state.phase === "idle" || state.phase.endsWith("_alarm") ? message : `${time} · ${message}`;
  const title = `${state.paused ? "⏸ " : ""}${timed} – ${store.room?.name ?? "Lockstep"}`;
  if (document.title !== title) document.title = title;
});

store.watch(() => {
  const name = document.getElementById("room-name");
  const text = store.room?.name ?? "Lockstep";
  if (name && name.textContent !== text) name.textContent = text;
});

await Promise.all([
  import("./elements/banner.js"),
  import("./elements/alerts.js"),
  import("./elements/theme-toggle.js"),
  import("./elements/room.js"),
]);
