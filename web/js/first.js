// Runs before the first paint, so that a dark page never flashes white and the wall is not built as a room first; the rest is in theme.js and app.js.
// On the dashboard it opens the socket too and asks for the room, so that the answer is there when the modules are: picture.js draws it, and
// page.js gives the socket to the client, with what was heard until then.
const chosen = new URLSearchParams(location.search);
try {
  document.documentElement.dataset.theme = localStorage.getItem("lockstep.theme") || "system";
} catch {
  document.documentElement.dataset.theme = "system";
}
if (chosen.get("view") === "wall") document.documentElement.dataset.view = "wall";
if (document.documentElement.dataset.link) {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url, "lockstep.v1");
  const early = { socket, heard: /** @type {MessageEvent[]} */ ([]), asked: /** @type {{id: string, filters: string[]}|null} */ (null) };
  const HEARD_MAX = 500; // of a page that does not come nobody takes more: it gets a socket of its own, should it come
  socket.onmessage = (event) => {
    const count = early.heard.push(event);
    if (count > HEARD_MAX) socket.close();
    if (count > 1) return;
    const { hub, you } = JSON.parse(event.data); // the hub's greeting comes first
    const room = you.room ?? chosen.get("room") ?? "main";
    if (!/^[a-z0-9_-]+$/.test(room)) return; // page.js knows what that means
    early.asked = { id: "first", filters: [`${hub.root}/${room}/#`, `${hub.root}/hub/#`] };
    socket.send(JSON.stringify({ type: "sub", ...early.asked }));
  };
  Object.assign(window, { lockstepEarly: early });
}
