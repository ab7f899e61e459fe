// `plenum --lan`: three machines at one switch. The server prints an invitation; two browsers on
// the other machines open it over HTTPS and meet.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BINARY, chromiumAt, invitation, outside, startAt, startLan, trusting } from "./support/lan.js";
import { hears, others, sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";

const folder = mkdtempSync(join(tmpdir(), "plenum-lan-data-"));

/** @type {Awaited<ReturnType<typeof startLan>>} */
let lan;
before(async () => void (lan = await startLan(3)));
after(() => {
  lan.close();
  rmSync(folder, { recursive: true, force: true });
});
after(assertFrames);

test("two browsers on two machines meet over HTTPS by the printed invitation", async (context) => {
  const [machine, adas, lins] = lan.hosts;
  assert.ok(machine && adas && lins);
  const { child, said } = startAt(machine, folder);
  context.after(() => child.kill("SIGKILL"));
  const url = await invitation(said);
  assert.match(url, /^https:\/\/192\.168\.88\.1:8443\/r\/demo#token=[\w.-]+$/);
  assert.match(said.out, /█▀▀▀▀▀█|█ ▄▄▄▄▄ █/, "a QR code is printed");
  assert.match(said.log, /private addresses of this host/, "the log says which address source won");

  // gRPC and admin stay on loopback: nothing answers to the others.
  for (const port of [50_051, 9_464]) {
    const [program, ...enter] = adas.enter;
    const script = `require("net").connect(${port}, "${machine.address}").on("connect", () => process.exit(1)).on("error", () => process.exit(0))`;
    execFileSync(/** @type {string} */ (program), [...enter, process.execPath, "-e", script]);
  }

  const tabs = [];
  for (const [host, name] of /** @type {const} */ ([[adas, "Ada"], [lins, "Lin"]])) {
    const program = chromiumAt(host);
    const chromium = await startChromium({
      loopback: false,
      executablePath: program.path,
      flags: [trusting(folder)],
    });
    context.after(async () => {
      await chromium.close();
      program.remove();
    });
    const tab = await chromium.tab();
    await tab.open(url.replace("#", "?video=320x240@15#"), "");
    assert.ok(await tab.ask(() => window.isSecureContext), "cameras are given to secure pages only");
    await tab.page.fill("#name", name);
    await tab.page.click("button.join");
    await tab.state("in", 30_000);
    tabs.push(tab);
  }
  const [ada, lin] = tabs;
  assert.ok(ada && lin);
  await Promise.all([others(ada, ["Lin"], 30_000), others(lin, ["Ada"], 30_000)]);
  await Promise.all([
    sees(ada, "Lin", { within: 40_000 }),
    sees(lin, "Ada", { within: 40_000 }),
    hears(ada, "Lin", 40_000),
    hears(lin, "Ada", 40_000),
  ]);
  await ada.screenshot("lan");
  // Media goes where it was said to: to the machine's address in this network.
  const remote = await ada.ask(async () => {
    const report = await /** @type {any} */ (window).plenum.pc.getStats();
    const rows = [...report.values()];
    const pair = rows.find((row) => row.type === "candidate-pair" && row.nominated);
    return report.get(pair?.remoteCandidateId)?.address;
  });
  assert.equal(remote, machine.address);
  await Promise.all([ada.close(), lin.close()]);
});

test("without a network it is refused in one sentence", () => {
  let said = "";
  let status = 0;
  try {
    execFileSync("unshare", ["-n", BINARY, "--lan", "--data-dir", folder], { stdio: "pipe", env: outside() });
  } catch (error) {
    const failed = /** @type {any} */ (error);
    said = String(failed.stderr);
    status = failed.status;
  }
  assert.equal(status, 2);
  assert.match(said, /^plenum: --lan: this machine has no address .* give --advertise\n$/);
});
