// @ts-check
/** The kept page: says in the browser's language what it is, and goes back as soon as the hub answers. */

const LOOK_EVERY_MS = 3_000;

if (navigator.languages[0]?.startsWith("de")) {
  document.documentElement.lang = "de";
  const texts = {
    "offline-title": "Der Hub ist nicht erreichbar",
    "offline-text": "Diese Seite hat dein Browser aufgehoben. Sie zeigt nichts, weil hier nichts live wäre. Sie sucht den Hub von selbst.",
    "offline-again": "Jetzt versuchen",
  };
  for (const [id, text] of Object.entries(texts)) {
    const element = document.getElementById(id);
    if (element) element.textContent = text;
  }
}

setInterval(async () => {
  const answer = await fetch("healthz", { cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
}, LOOK_EVERY_MS);
