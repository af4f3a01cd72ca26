// Runs before the first paint, so that a dark page never flashes white and the wall is not built as a room first; the rest is in theme.js and app.js.
// On the dashboard it opens the socket too, which is there when the modules are: page.js gives it to the client, with what was heard until then.
try {
  document.documentElement.dataset.theme = localStorage.getItem("lockstep.theme") || "system";
} catch {
  document.documentElement.dataset.theme = "system";
}
if (new URLSearchParams(location.search).get("view") === "wall") document.documentElement.dataset.view = "wall";
if (document.documentElement.dataset.link) {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const early = { socket: new WebSocket(url, "lockstep.v1"), heard: /** @type {MessageEvent[]} */ ([]) };
  early.socket.onmessage = (event) => early.heard.push(event);
  Object.assign(window, { lockstepEarly: early });
}
