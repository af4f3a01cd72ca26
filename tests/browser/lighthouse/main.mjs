// Lighthouse on each view, as a phone and as a desktop, against a hub of its own: at least 95 of 100 in each category.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const WANTED = 95;
const CATEGORIES = ["performance", "accessibility", "best-practices"];
const VIEWS = { room: "", history: "?view=history", topics: "?view=topics", wall: "?view=wall", login: "login" };

const folder = mkdtempSync(join(tmpdir(), "lockstep-lighthouse-"));
const hub = spawn(process.env.LOCKSTEP_BIN ?? "", ["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json", "--data-dir", folder], { stdio: ["ignore", "pipe", "ignore"] });
const chrome = await launch({ chromePath: process.env.CHROMIUM ?? "/usr/bin/chromium", chromeFlags: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
/** @type {string[]} */
const faults = [];
try {
  const ready = await new Promise((resolve) => createInterface({ input: hub.stdout }).once("line", (line) => resolve(JSON.parse(line))));
  for (const [view, path] of Object.entries(VIEWS)) {
    for (const [device, config] of Object.entries({ phone: undefined, desktop: desktopConfig })) {
      const result = await lighthouse(`http://${ready.http}/${path}`, { port: chrome.port, onlyCategories: CATEGORIES, logLevel: "error" }, config);
      assert.ok(result);
      const { categories, audits } = result.lhr;
      const scores = CATEGORIES.map((name) => Math.round((categories[name].score ?? 0) * 100));
      console.log(`${view.padEnd(8)} ${device.padEnd(8)} ${CATEGORIES.map((name, i) => `${name} ${scores[i]}`).join(", ")}`);
      if (scores.every((score) => score >= WANTED)) continue;
      const lost = CATEGORIES.flatMap((name) => categories[name].auditRefs.filter(({ id, weight }) => weight > 0 && (audits[id].score ?? 1) < 0.9)).map(({ id }) => `${id}: ${audits[id].displayValue ?? audits[id].title}`);
      faults.push(`${view} as ${device}: ${lost.join("; ")}`);
    }
  }
} finally {
  await chrome.kill();
  hub.kill();
  rmSync(folder, { recursive: true, force: true });
}
assert.deepEqual(faults, []);
