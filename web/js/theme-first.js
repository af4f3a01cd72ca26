// Runs before the first paint, so that a dark page never flashes white; the rest is in theme.js.
try {
  document.documentElement.dataset.theme = localStorage.getItem("lockstep.theme") || "system";
} catch {
  document.documentElement.dataset.theme = "system";
}
