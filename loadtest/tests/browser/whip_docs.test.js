// docs/whip.md: each of its blocks is run as it stands there, but for the server's address.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { others, sees } from "./support/media.js";
import { startSite } from "./support/site.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const SERVER = process.env.PLENUM_URL ?? "";
const BINARY = process.env.PLENUM_BIN ?? fileURLToPath(new URL("../../../target/debug/plenum", import.meta.url));
const TEXT = readFileSync(new URL("../../../docs/whip.md", import.meta.url), "utf8");
const BLOCKS = [...TEXT.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, code]) => ({ language, code }));

/** The one block that begins so, pointed at our server. @param {string} begin */
function block(begin) {
  const found = BLOCKS.filter(({ code }) => code.includes(begin));
  assert.equal(found.length, 1, begin);
  return found[0].code.replaceAll("http://127.0.0.1:8080", SERVER);
}

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startSite>>} */
let site;
before(async () => {
  site = await startSite("whip.html");
  chromium = await startChromium();
});
after(async () => {
  await chromium.close();
  site.close();
});
after(assertFrames);

test("every block of the guide is run by a test below", () => {
  const known = ["plenum token", "ffmpeg ", "gst-launch-1.0", "/whip/standup\";", "/whep/standup\","];
  assert.equal(BLOCKS.length, known.length);
  for (const begin of known) block(begin);
});

test("the guide's token is one", () => {
  const folder = mkdtempSync(join(tmpdir(), "plenum-docs-"));
  writeFileSync(join(folder, "keys.txt"), "main: 0123456789abcdef0123456789abcdef\n");
  const path = `${dirname(BINARY)}:${process.env.PATH}`;
  const token = execFileSync("sh", ["-ec", block("plenum token")], { cwd: folder, env: { PATH: path }, encoding: "utf8" }).trim();
  rmSync(folder, { recursive: true });
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  assert.equal(claims.sub, "encoder");
  assert.equal(claims.plenum.room, "standup");
});

test("the guide's pages publish and play", async (context) => {
  const ada = await chromium.tab();
  const encoder = await chromium.tab();
  const player = await chromium.tab();
  context.after(() => Promise.all([ada.close(), encoder.close(), player.close()]));
  await ada.join("standup", "Ada");
  const run = async (/** @type {import("./support/tabs.js").Tab} */ tab, /** @type {string} */ code) => {
    await tab.open("/", site.url);
    await tab.ask((text) => new Function(`return (async () => {${text}\nwindow.pc = pc;})()`)(), code);
  };
  await run(encoder, block("/whip/standup\";"));
  await until(() => ada.ask(() => /** @type {any} */ (window).plenum.participants.length === 1), { within: 10_000, what: "one other is there" });
  const name = await ada.ask(() => /** @type {any} */ (window).plenum.participants[0].displayName);
  await sees(ada, name);
  await run(player, block("/whep/standup\","));
  const frames = () => player.ask(async () => {
    let sum = 0;
    (await /** @type {any} */ (window).pc.getStats()).forEach((/** @type {any} */ row) => (sum += row.framesDecoded ?? 0));
    return sum;
  });
  await until(async () => (await frames()) > 5, { within: 20_000, what: "the player decodes", last: frames });
});

for (const { begin, program, knows } of [
  { begin: "ffmpeg ", program: "ffmpeg", knows: ["ffmpeg", "-hide_banner", "-h", "muxer=whip"] },
  { begin: "gst-launch-1.0", program: "gst-launch-1.0", knows: ["gst-inspect-1.0", "whipclientsink"] },
]) {
  const asked = spawnSync(knows[0], knows.slice(1), { encoding: "utf8" });
  const able = asked.status === 0 && !/unknown format/i.test(asked.stdout + asked.stderr);
  test(`the guide's line for ${program} publishes`, { skip: able ? false : `this machine has no ${program} that knows WHIP` }, async (context) => {
    const ada = await chromium.tab();
    context.after(() => ada.close());
    await ada.join("standup", "Ada");
    const child = spawn("sh", ["-c", `exec ${block(begin)}`], { env: { ...process.env, TOKEN: "" }, stdio: "ignore" });
    context.after(() => child.kill());
    await until(() => ada.ask(() => /** @type {any} */ (window).plenum.participants.length === 1), { within: 20_000, what: "one other is there" });
    const name = await ada.ask(() => /** @type {any} */ (window).plenum.participants[0].displayName);
    await sees(ada, name);
    child.kill();
    await others(ada, [], 40_000);
  });
}
