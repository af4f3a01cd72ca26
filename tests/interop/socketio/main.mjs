// Runs every story with every client by every way; all but the crowd at the same time, each in a room of its own.

import { assert } from "./check.mjs";
import { ALL, VERSIONS } from "./clients.mjs";
import { course } from "./course.mjs";
import { crowd } from "./crowd.mjs";
import { startHub } from "./hub.mjs";
import { rooms } from "./rooms.mjs";
import { drag, sliders } from "./sliders.mjs";
import { timer } from "./timer.mjs";
import { watch } from "./watchers.mjs";

const CROWD_SECONDS = { short: 60, long: 600 };

const mode = process.argv[2] ?? "short";
const crowdSeconds = CROWD_SECONDS[mode];
if (crowdSeconds === undefined) throw new Error(`run, or run long; not ${mode}`);

const stories = [
  ...ALL.flatMap((kind) => [timer, sliders, course].map((story) => ({ story, kind }))),
  ...VERSIONS.map((version) => ({ story: drag, kind: { version, way: "polling", name: `v${version}-polling` } })),
].map(({ story, kind }) => ({ story, kind, room: `${story.name}-${kind.name}` }));

const hub = await startHub([...stories.map((one) => one.room), "busy", "idle"], ["limits.rooms_max=200"]);
const watcher = await watch(hub);
let failed = 0;

/** @param {string} name @param {() => Promise<unknown>} run */
async function tell(name, run) {
  try {
    const figures = await run();
    console.log(`ok   ${name}${figures ? `: ${figures}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}

await Promise.all(stories.map(({ story, kind, room }) => tell(room, () => story(hub, watcher, kind, room))));
for (const kind of ALL) await tell(`rooms-${kind.name}`, () => rooms(hub, watcher, kind, stories[0].room));
await tell("crowd", () => crowd(hub, watcher, { busy: "busy", idle: "idle" }, crowdSeconds));

await watcher.close();
await tell("stop", async () => assert.equal(await hub.stop(), 0, "the hub stops in time, with exit code 0"));
console.log(`${stories.length + ALL.length + 2 - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
