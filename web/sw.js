// @ts-check
/// <reference lib="webworker" />
/**
 * The service worker: keeps one page for the moment when the hub cannot be reached, and brings notifications to phones.
 * It caches nothing else on purpose: a dashboard from a cache would look live and not be.
 */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const CACHE = "lockstep-offline-2";
const KEPT = ["offline.html", "css/base.css", "css/alone.css", "icons/tomato.svg", "js/first.js", "js/offline.js"];

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(KEPT)).then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(async () => (await caches.match("offline.html")) ?? Response.error()));
  else if (KEPT.some((name) => request.url === new URL(name, worker.registration.scope).href)) event.respondWith(fetch(request).catch(async () => (await caches.match(request)) ?? Response.error()));
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(worker.clients.matchAll({ type: "window" }).then((pages) => pages[0]?.focus() ?? worker.clients.openWindow("./")));
});
