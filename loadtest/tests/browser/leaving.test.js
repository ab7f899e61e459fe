// Ways to be gone: a killed browser, a frozen tab whose socket stays open.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { others, sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/**
 * The process that runs a browser's page: ICE, DTLS and the page live there, while the WebSocket
 * and its pongs live in the network process.
 * @param {number} browser
 */
function rendererOf(browser) {
  const rows = execFileSync("ps", ["-eo", "pid,ppid,args", "--no-headers"], { encoding: "utf8" })
    .split("\n")
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row))
    .filter((row) => row !== null);
  const family = new Set([browser]);
  // Children stand below their parents, but pids may have wrapped: look until nothing is new.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [, pid, parent] of rows) if (family.has(Number(parent))) family.add(Number(pid));
  }
  return rows
    .filter(([, pid, , line]) => family.has(Number(pid)) && line?.includes("--type=renderer"))
    .map(([, pid]) => Number(pid));
}

test("a killed browser is gone after some six seconds", async (context) => {
  const lin = await chromium.tab();
  const doomed = await startChromium();
  context.after(async () => {
    await lin.close();
    await doomed.close().catch(() => {});
  });
  await lin.join("killed", "Lin");
  const ada = await doomed.tab();
  await ada.join("killed", "Ada");
  await sees(lin, "Ada");
  await doomed.kill();
  const killed = performance.now();
  await others(lin, [], 10_000);
  const passed = performance.now() - killed;
  context.diagnostic(`gone after ${Math.round(passed)} ms`);
  assert.ok(passed > 3_000, `but not at once, it might have resumed: ${passed}`);
});

test("a frozen tab is gone by consent expiry although its socket stays open", async (context) => {
  const lin = await chromium.tab();
  const frozen = await startChromium();
  context.after(async () => {
    await lin.close();
    await frozen.kill();
  });
  await lin.join("frozen", "Lin");
  const ada = await frozen.tab();
  await ada.join("frozen", "Ada");
  await sees(lin, "Ada");
  await lin.ask(() => {
    const scope = /** @type {any} */ (window);
    scope.left = [];
    scope.plenum.connection.stay.on("message", (/** @type {any} */ message) => scope.left.push(...(message.left ?? [])));
  });
  for (const pid of rendererOf(frozen.pid)) process.kill(pid, "SIGSTOP");
  const stopped = performance.now();
  await others(lin, [], 32_000);
  context.diagnostic(`gone after ${Math.round(performance.now() - stopped)} ms`);
  const left = await lin.ask(() => /** @type {any} */ (window).left);
  assert.equal(left[0]?.reason, "CONSENT_EXPIRED");
});

test("a closed tab says goodbye", async (context) => {
  const lin = await chromium.tab();
  const ada = await chromium.tab();
  context.after(() => lin.close());
  await lin.join("goodbye", "Lin");
  await ada.join("goodbye", "Ada");
  await sees(lin, "Ada");
  await ada.page.goto("about:blank");
  await others(lin, [], 2_000);
  await ada.close();
});
