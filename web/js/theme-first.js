// Runs before the first paint, so that a dark page never flashes white and the wall is not built as a room first; the rest is in theme.js and app.js.
try {
  document.documentElement.dataset.theme = localStorage.getItem("lockstep.theme") || "system";
} catch {
  document.documentElement.dataset.theme = "system";
}
if (new URLSearchParams(location.search).get("view") === "wall") document.documentElement.dataset.view = "wall";
