// @ts-check
/** The page's one client and one store, and what its address says. Elements import it. The client takes over the socket of first.js, with what was heard. */
import { LockstepClient } from "./client.js";
import { setAttr } from "./dom.js";
import { Store } from "./store.js";
import { remembered } from "./theme.js";

const address = new URL(location.href).searchParams;
const ROOM = /^[a-z0-9_-]{1,64}$/;

/** The room of an address that names none: `main`, or where the hub has no such room its first. */
let home = "main";

/** The room in the address; what is no id is none. */
export function roomInAddress() {
  const room = new URL(location.href).searchParams.get("room") ?? home;
  return ROOM.test(room) ? room : home;
}

/** @type {{socket: WebSocket, heard: MessageEvent[], asked: {id: string, filters: string[]}|null}|null} */
let early = /** @type {any} */ (window).lockstepEarly ?? null;
if (early && early.socket.readyState > WebSocket.OPEN) early = null; // lost already

/** The first socket is the one that first.js opened. */
class EarlySocket extends WebSocket {
  /** @param {string} url @param {string} protocol */
  constructor(url, protocol) {
    const first = early;
    early = null;
    /** @type {any} */ (window).lockstepEarly = null;
    if (!first || first.socket.url !== url) {
      super(url, protocol);
      return;
    }
    queueMicrotask(() => first.heard.splice(0).forEach((event) => first.socket.onmessage?.(event)));
    return first.socket;
  }
}

export const client = new LockstepClient({ WebSocket: EarlySocket, asked: early?.asked });
export const store = new Store(client, { room: roomInAddress(), name: address.get("name") ?? remembered("lockstep.name") ?? "" });
client.connect();
store.watch(() => {
  const [first] = store.rooms;
  if (!store.live || !first || store.rooms.some((room) => room.id === home)) return;
  home = first.id;
  store.enter(roomInAddress());
});

/** Who did it, in words: `web:anna` is Anna, oneself is «you». @param {string|undefined} by */
export function whoDid(by) {
  if (!by) return "";
  const [kind, ...rest] = by.split(":");
  return kind === "hub" ? "" : rest.join(":") || by;
}

/** Where it is said why nothing can be controlled here: see the banner. */
export const WHY_NOT = "why-not";

/**
 * Makes a control quiet for who may only look, and points to the reason. Buttons keep the focus; a field that takes no value cannot
 * be entered.
 * @param {HTMLElement & {disabled?: boolean}} control @param {{known?: boolean, describedBy?: string|null, field?: boolean}} [more]
 */
export function bar(control, { known = true, describedBy = null, field = false } = {}) {
  const may = store.mayCommand;
  if (field) control.disabled = !known || !may;
  else setAttr(control, "aria-disabled", may ? null : "true");
  setAttr(control, "aria-describedby", may ? describedBy : WHY_NOT);
}
