// @ts-check
/**
 * How the page calls for attention beyond itself: sound, system notification, a screen that stays awake, the icon in
 * the tab. It follows the phase that it is told; the phase's rules are the hub's.
 */
import { Alarm } from "./alarm.js";
import { ALARMS } from "./countdown.js";
import { t } from "./i18n.js";
import { store } from "./page.js";
import { remember, remembered } from "./theme.js";

/** @type {Set<() => void>} */
const watchers = new Set();
const changed = () => watchers.forEach((look) => look());
export const alarm = new Alarm(changed);

/** @param {() => void} look */
export function watchAttention(look) {
  watchers.add(look);
  return () => void watchers.delete(look);
}

let phase = "";
/** @type {Notification|null} */
let shown = null;

/** A phase was drawn. @param {{phase: string, paused: boolean}} state @param {string} message @param {boolean} live */
export function attend(state, message, live) {
  const rings = ALARMS.includes(state.phase);
  alarm.ring(rings && live);
  drawIcon(state);
  if (phase && phase !== state.phase) {
    shown?.close();
    shown = null;
    if (rings && document.hidden) notify(message);
  }
  phase = state.phase;
}

/** @param {{phase: string, paused: boolean}} state */
function drawIcon(state) {
  const link = /** @type {HTMLLinkElement|null} */ (document.querySelector('link[rel="icon"]'));
  const name = state.paused ? "paused" : ALARMS.includes(state.phase) ? "alarm" : state.phase;
  const href = name === "idle" ? "icons/tomato.svg" : `icons/phase-${name}.svg`;
  if (link && link.getAttribute("href") !== href) link.setAttribute("href", href);
}

/** Why notifications do not work here; null if they do or can be asked for. @returns {"insecure"|"unsupported"|"denied"|null} */
export function notificationsBarred() {
  if (!isSecureContext) return "insecure";
  if (!("Notification" in window)) return "unsupported";
  return Notification.permission === "denied" ? "denied" : null;
}

export function notificationsOn() {
  return remembered("lockstep.notify") === "yes" && notificationsBarred() === null && Notification.permission === "granted";
}

/** Asks the browser when needed; call it from a click. */
export async function wantNotifications(/** @type {boolean} */ wanted) {
  remember("lockstep.notify", wanted ? "yes" : "no");
  if (wanted && notificationsBarred() === null && Notification.permission === "default") await Notification.requestPermission();
  changed();
}

function notify(/** @type {string} */ message) {
  if (!notificationsOn()) return;
  try {
    shown = new Notification(message, { body: t("notify.body", { room: store.room?.name ?? store.roomId }), tag: "lockstep", icon: "icons/icon-192.png" });
    shown.onclick = () => window.focus();
  } catch {
    void navigator.serviceWorker?.ready.then((worker) => worker.showNotification(message, { tag: "lockstep", icon: "icons/icon-192.png" })); // phones allow only this
  }
}

/** @type {any} */
let lock = null;

/** Why the screen cannot be kept awake here; null if it can. @returns {"insecure"|"unsupported"|null} */
export function wakeBarred() {
  if (!isSecureContext) return "insecure";
  return "wakeLock" in navigator ? null : "unsupported";
}

export function wakeOn() {
  return remembered("lockstep.wake") === "yes" && wakeBarred() === null;
}

export async function wantWake(/** @type {boolean} */ wanted) {
  remember("lockstep.wake", wanted ? "yes" : "no");
  await keepAwake();
  changed();
}

/** A hidden page loses its lock, so it is taken again whenever the page is seen. */
async function keepAwake() {
  if (!wakeOn() || document.visibilityState !== "visible") {
    await lock?.release();
    lock = null;
    return;
  }
  try {
    lock ??= await navigator.wakeLock.request("screen");
    lock.onrelease = () => (lock = null);
  } catch {
    lock = null; // low battery: the browser refuses, and the wish stays
  }
}

document.addEventListener("visibilitychange", () => void keepAwake());
void keepAwake();
