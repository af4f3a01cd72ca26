// Rooms: `main` without a word, a named one by `?room=`, and a clear no for one that is not there.

import { assert, eventually } from "./check.mjs";
import { connect, open } from "./clients.mjs";

/**
 * @param {import("./hub.mjs").Hub} hub
 * @param {import("./watchers.mjs").Watcher} watcher
 * @param {{version: string, way: string}} kind
 * @param {string} room one that is there
 */
export async function rooms(hub, watcher, kind, room) {
  const here = await connect(kind, hub.http, undefined);
  const there = await connect(kind, hub.http, room);
  await watcher.command("main/slider2", "1");
  await watcher.command("main/slider2", "2");
  await here.next("update value", (data) => data.who === "slider2" && data.data === "2", 0);
  await watcher.command(`${room}/slider2`, "3");
  await there.next("update value", (data) => data.who === "slider2" && data.data === "3", 0);
  assert.ok(!there.all("update value").some((data) => data.data === "2"), "rooms do not hear one another");
  here.close();
  there.close();

  const nowhere = open(kind, hub.http, "attic");
  await eventually("a refusal", () => nowhere.failed, () => nowhere.failures);
  assert.match(nowhere.failures.join(), /There is no room `attic`/);
  nowhere.close();
}
