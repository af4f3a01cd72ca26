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

/** The phase that each timer was in when it was heard of last. @type {Map<string, string>} */
const phases = new Map();
/** How to take a notification back, by the timer that it tells of. @type {Map<string, () => void>} */
const notified = new Map();

/**
 * Something was drawn: `timers` by their things, and the state of the `foremost` of them.
 * @param {ReadonlyMap<string, import("./title.js").Shown>} timers @param {{phase: string, paused: boolean}|null} foremost @param {boolean} live
 */
export function attend(timers, foremost, live) {
  const rings = (/** @type {string} */ phase) => ALARMS.includes(phase);
  alarm.ring(live && [...timers.values()].some(({ state }) => rings(state.phase)));
  drawIcon(foremost);
  for (const thing of phases.keys()) {
    if (timers.has(thing)) continue;
    phases.delete(thing);
    takeBack(thing);
  }
  for (const [thing, { state, message }] of timers) {
    const before = phases.get(thing);
    if (before === state.phase) continue;
    phases.set(thing, state.phase);
    if (before === undefined) continue;
    takeBack(thing);
    if (rings(state.phase) && document.hidden) notify(thing, message);
  }
}

/** @param {{phase: string, paused: boolean}|null} state */
function drawIcon(state) {
  const link = /** @type {HTMLLinkElement|null} */ (document.querySelector('link[rel="icon"]'));
  const name = !state ? "idle" : state.paused ? "paused" : ALARMS.includes(state.phase) ? "alarm" : state.phase;
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

function notify(/** @type {string} */ thing, /** @type {string} */ message) {
  if (!notificationsOn()) return;
  const options = { body: store.timerName(thing) ?? t("notify.body", { room: store.room?.name ?? store.roomId }), tag: `lockstep-${thing}`, icon: "icons/icon-192.png" };
  try {
    const shown = new Notification(message, options);
    shown.onclick = () => window.focus();
    notified.set(thing, () => shown.close());
  } catch {
    // Phones allow only this.
    const worker = navigator.serviceWorker?.ready;
    void worker?.then((worker) => worker.showNotification(message, options));
    notified.set(thing, () => void worker?.then(async (worker) => (await worker.getNotifications({ tag: options.tag })).forEach((shown) => shown.close())));
  }
}

function takeBack(/** @type {string} */ thing) {
  notified.get(thing)?.();
  notified.delete(thing);
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
