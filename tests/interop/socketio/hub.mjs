// A hub of one's own: the very binary, on free ports, with a folder that goes when the test ends.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/**
 * Starts a hub with the given rooms besides `main`.
 * @param {string[]} rooms
 * @param {string[]} settings further `key=value`
 */
export async function startHub(rooms, settings = []) {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-"));
  const config = join(folder, "hub.toml");
  const sections = ["main", ...rooms].map((id) => `[[rooms]]\nid = "${id}"\nname = "${id}"\n`);
  writeFileSync(config, sections.join("\n"));
  const child = spawn(
    process.env.LOCKSTEP_BIN ?? "lockstep",
    [
      ...["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json"],
      ...["--config", config, "--data-dir", join(folder, "data")],
      ...settings.flatMap((setting) => ["--set", setting]),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const line = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the hub ended with ${code} before it was ready`)));
  });
  const ready = JSON.parse(line);
  return {
    http: `http://${ready.http}`,
    ws: `ws://${ready.http}/ws`,
    mqtt: `mqtt://${ready.mqtt}`,
    /** Memory in use, in KiB. */
    memoryKib() {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    },
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const code = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 8000, "too late"))]);
      if (code === "too late") child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof startHub>>} Hub */
