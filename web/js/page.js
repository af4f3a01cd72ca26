// @ts-check
/** The page's one client and one store, and what its address says. Elements import it. */
import { LockstepClient } from "./client.js";
import { Store } from "./store.js";
import { remembered } from "./theme.js";

const address = new URL(location.href).searchParams;
const ROOM = /^[a-z0-9_-]{1,64}$/;

/** The room in the address; what is no id is `main`. */
export function roomInAddress() {
  const room = new URL(location.href).searchParams.get("room") ?? "main";
  return ROOM.test(room) ? room : "main";
}

export const client = new LockstepClient();
export const store = new Store(client, { room: roomInAddress(), name: address.get("name") ?? remembered("lockstep.name") ?? "" });

/** Who did it, in words: `web:anna` is Anna, oneself is «you». @param {string|undefined} by */
export function whoDid(by) {
  if (!by) return "";
  const [kind, ...rest] = by.split(":");
  return kind === "hub" ? "" : rest.join(":") || by;
}
