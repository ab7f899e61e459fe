// `plenum --lan`: three machines at one switch. The server prints an invitation; two browsers on
// the other machines open it over HTTPS and meet.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromiumAt, startLan } from "./support/lan.js";
import { hears, others, sees } from "./support/media.js";
import { BINARY } from "./support/server.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const binary = process.env.PLENUM_BIN ?? BINARY;
const folder = mkdtempSync(join(tmpdir(), "plenum-lan-data-"));

/** @type {Awaited<ReturnType<typeof startLan>>} */
let lan;
before(async () => void (lan = await startLan(3)));
after(() => {
  lan.close();
  rmSync(folder, { recursive: true, force: true });
});
after(assertFrames);

/** @param {import("./support/lan.js").Host} host */
function startAt(host) {
  const [program, ...enter] = host.enter;
  const outside = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLENUM_")));
  const child = spawn(/** @type {string} */ (program), [...enter, binary, "--lan", "--data-dir", folder, "--shards", "1"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: outside,
  });
  const said = { out: "", log: "" };
  child.stdout.on("data", (bytes) => (said.out += bytes));
  child.stderr.on("data", (bytes) => (said.log += bytes));
  return { child, said };
}

test("two browsers on two machines meet over HTTPS by the printed invitation", async (context) => {
  const [machine, adas, lins] = lan.hosts;
  assert.ok(machine && adas && lins);
  const { child, said } = startAt(machine);
  context.after(() => child.kill("SIGKILL"));
  const link = () => /https:\/\/\S+/.exec(said.out)?.[0];
  await until(async () => link(), { within: 30_000, what: "the invitation is printed", last: async () => said.log });
  const url = /** @type {string} */ (link());
  assert.match(url, /^https:\/\/192\.168\.88\.1:8443\/r\/demo#token=[\w.-]+$/);
  assert.match(said.out, /█▀▀▀▀▀█|█ ▄▄▄▄▄ █/, "a QR code is printed");
  assert.match(said.log, /private addresses of this host/, "the log says which address source won");

  // gRPC and admin stay on loopback: nothing answers to the others.
  for (const port of [50_051, 9_464]) {
    const [program, ...enter] = adas.enter;
    const script = `require("net").connect(${port}, "${machine.address}").on("connect", () => process.exit(1)).on("error", () => process.exit(0))`;
    execFileSync(/** @type {string} */ (program), [...enter, process.execPath, "-e", script]);
  }

  // The one certificate this server made, and no other, is taken.
  const certificate = new X509Certificate(readFileSync(join(folder, "lan.crt")));
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  const pin = createHash("sha256").update(key).digest("base64");
  const tabs = [];
  for (const [host, name] of /** @type {const} */ ([[adas, "Ada"], [lins, "Lin"]])) {
    const program = chromiumAt(host);
    const chromium = await startChromium({
      loopback: false,
      executablePath: program.path,
      flags: [`--ignore-certificate-errors-spki-list=${pin}`],
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
    execFileSync("unshare", ["-n", binary, "--lan", "--data-dir", folder], { stdio: "pipe" });
  } catch (error) {
    const failed = /** @type {any} */ (error);
    said = String(failed.stderr);
    status = failed.status;
  }
  assert.equal(status, 2);
  assert.match(said, /^plenum: --lan: this machine has no address .* give --advertise\n$/);
});
