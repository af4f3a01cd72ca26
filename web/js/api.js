// @ts-check
/** Asks the hub's HTTP interface, for what is no publish: rooms, guests, logging in and out. */
import { LockstepError } from "./client.js";

/**
 * @param {"GET"|"POST"|"PUT"|"PATCH"|"DELETE"} method @param {string} path below `api/v1/` @param {any} [body]
 * @returns {Promise<any>} the answer's JSON; null where it has none. Rejects with a {@link LockstepError}.
 */
export async function ask(method, path, body) {
  /** @type {Response} */
  let answer;
  try {
    answer = await fetch(new URL(`api/v1/${path}`, document.baseURI), { method, ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }) });
  } catch {
    throw new LockstepError("offline", "not connected");
  }
  const told = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new LockstepError(told?.code ?? (answer.status === 403 ? "forbidden" : "unknown"), told?.detail ?? `HTTP ${answer.status}`);
  return told;
}
