// The network swallows everything for a while, silently, both ways: no address goes, no socket is
// closed. Every tab is back within 10 s of the network's return, as it was.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { withoutLinkLocal } from "./support/link_local.js";
import { startServer } from "./support/server.js";
import { startFolder } from "./support/folder.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const NEAR = "10.88.3.1";
const FAR = "10.88.3.2";
const NOBODY = "02:00:00:00:00:99";
const PORT = 19_180;
const SECRET = "0123456789abcdef0123456789abcdef";
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";
const BACK_MS_MAX = 10_000;

const run = (/** @type {string[]} */ ...line) => execFileSync(line[0] ?? "", line.slice(1), { encoding: "utf8" });
const near = (/** @type {string} */ line) => run("ip", ...line.split(" "));
/** Keeps the other namespace alive. @type {import("node:child_process").ChildProcess} */
let holder;
const inFar = () => ["nsenter", "-t", String(holder.pid), "-n"];
const far = (/** @type {string} */ line) => run(...inFar(), "ip", ...line.split(" "));

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startFolder>>} */
let site;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;

before(async () => {
  if (skip) return;
  holder = spawn("unshare", ["-n", "sleep", "infinity"], { stdio: "ignore" });
  const ownNamespace = run("readlink", "/proc/self/ns/net");
  await until(() => run("readlink", `/proc/${holder.pid}/ns/net`) !== ownNamespace, { within: 5_000, what: "there is another namespace" });
  near("link add near type veth peer name far");
  withoutLinkLocal(near, "near");
  withoutLinkLocal(near, "far");
  near(`link set far netns ${holder.pid}`);
  near(`addr add ${NEAR}/24 dev near`);
  near("link set near up");
  far("link set lo up");
  far(`addr add ${FAR}/24 dev far`);
  far("link set far up");
  site = await startFolder(new URL("pages/", import.meta.url));
  const keys = join(mkdtempSync(join(tmpdir(), "plenum-keys-")), "keys");
  writeFileSync(keys, `main: ${SECRET}\n`, { mode: 0o600 });
  server = await startServer({ port: PORT, host: FAR, within: inFar(), arguments: ["--keys-file", keys], environment: { PLENUM_CORS__ORIGINS: site.url } });
  chromium = await startChromium({ loopback: false });
});
after(async () => {
  if (skip) return;
  await chromium.close();
  await server.stop();
  site.close();
  holder.kill();
});
after(() => {
  if (!skip) assertFrames();
});

/** @param {string} room @param {string} name */
function tokenFor(room, name) {
  const part = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: "main", sub: name.toLowerCase(), aud: "plenum", iat: now, exp: now + 3_600, plenum: { room, display_name: name, room_config: {} } };
  const signed = `${part({ alg: "HS256", typ: "JWT", kid: "main" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** @param {string} room @param {string} name */
async function open(room, name) {
  const tab = await chromium.tab();
  const query = new URLSearchParams({ url: `ws://${FAR}:${PORT}/v1/connect`, room, name, token: tokenFor(room, name) });
  await tab.page.goto(`${site.url}/library.html?${query}`);
  return tab;
}

/** @param {import("./support/tabs.js").Tab} tab @returns {Promise<any>} */
const look = (tab) => tab.ask(() => /** @type {any} */ (window).library?.look());

/**
 * Waits until a tab is in, alone with another one, and decodes what that one sends.
 * @param {import("./support/tabs.js").Tab} tab @param {string} name @param {number} within
 */
async function isWith(tab, name, within) {
  const { frames } = (await look(tab)) ?? { frames: 0 };
  let least = frames;
  await until(async () => {
    const now = await look(tab);
    if (!now) return false;
    // A new stay counts from nothing.
    if (now.frames < least) least = 0;
    return now.state === "in" && now.others.length === 1 && now.others[0].displayName === name && now.others[0].state === "ACTIVE" && now.frames > least + 5;
  }, { within, what: `a tab is in with ${name} and sees moving pictures`, last: () => look(tab) });
}

/** Both ways at once: the other side's address belongs to nobody. */
function cut() {
  near(`neigh replace ${FAR} lladdr ${NOBODY} dev near nud permanent`);
  far(`neigh replace ${NEAR} lladdr ${NOBODY} dev far nud permanent`);
}

function heal() {
  near(`neigh del ${FAR} dev near`);
  far(`neigh del ${NEAR} dev far`);
}

for (const seconds of [5, 20, 90]) {
  test(`after ${seconds} s without a network every tab is back as it was`, { skip, timeout: 240_000 }, async (context) => {
    const room = `outage-${seconds}`;
    const tabs = await Promise.all(["Ada", "Lin"].map((name) => open(room, name)));
    const [ada, lin] = /** @type {[import("./support/tabs.js").Tab, import("./support/tabs.js").Tab]} */ (tabs);
    context.after(() => Promise.all(tabs.map((tab) => tab.close())));
    await Promise.all([isWith(ada, "Lin", 30_000), isWith(lin, "Ada", 30_000)]);
    await ada.ask(() => /** @type {any} */ (window).library.connection.setMuted("MICROPHONE", true));
    const muted = async () => (await look(lin)).others[0]?.muted.includes("MICROPHONE");
    await until(muted, { within: 5_000, what: "Lin is told that Ada is muted" });
    const before = await Promise.all(tabs.map(look));

    cut();
    const since = performance.now();
    await until(() => performance.now() - since >= seconds * 1_000, { within: seconds * 1_000 + 1_000, what: "the time passes" });
    heal();
    const back = performance.now();
    await Promise.all([isWith(ada, "Lin", BACK_MS_MAX), isWith(lin, "Ada", BACK_MS_MAX)]);
    context.diagnostic(`back ${Math.round(performance.now() - back)} ms after the network`);
    const states = await ada.ask(() => /** @type {any} */ (window).library.states);
    context.diagnostic(`states: ${states.join(" ")}`);
    await until(muted, { within: 2_000, what: "Ada is muted as before", last: () => look(lin) });
    const now = await Promise.all(tabs.map(look));
    for (const [index, one] of now.entries()) {
      assert.equal(one.gaps, 0, "no message was lost");
      assert.equal(one.others[0].tracks, 2, "camera and microphone as before");
      // The server gives up after 30 s without a datagram; until then the stay lives on.
      if (seconds < 30) assert.equal(one.uid, before[index].uid, "the same stay");
    }
  });
}
