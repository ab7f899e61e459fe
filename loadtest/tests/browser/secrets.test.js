// A server that logs all it can, people who join, fail and leave: no secret is in its log.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromiumAt, invitation, startAt, startLan, trusting } from "./support/lan.js";
import { hears, sees } from "./support/media.js";
import { startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const SIGNING = "planted-signing-secret-planted-01";
const folder = mkdtempSync(join(tmpdir(), "plenum-secrets-"));

/** @type {Awaited<ReturnType<typeof startLan>>} */
let lan;
before(async () => void (lan = await startLan(2)));
after(() => {
  lan.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @param {object} claims @param {string} [secret] */
function sign(claims, secret = SIGNING) {
  const text = (/** @type {object} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const iat = Math.floor(Date.now() / 1_000);
  const body = `${text({ alg: "HS256", typ: "JWT", kid: "lan" })}.${text({ iss: "lan", aud: "plenum", iat, exp: iat + 600, ...claims })}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

test("twelve planted secrets are in no line of a full log", async (context) => {
  writeFileSync(join(folder, "lan.keys"), `lan: ${SIGNING}\n`, { mode: 0o600 });
  const [machine, other] = lan.hosts;
  assert.ok(machine && other);
  const { child, said } = startAt(machine, folder, { PLENUM_LOG__LEVEL: "trace" });
  context.after(() => child.kill("SIGKILL"));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const url = await invitation(said);
  const origin = new URL(url).origin;

  /** @type {Map<string, string>} */
  const secrets = new Map([["the signing key", SIGNING]]);
  const invited = url.split("#token=")[1] ?? "";
  secrets.set("the invitation", invited.split(".")[2] ?? "");
  secrets.set("the private key of TLS", readFileSync(join(folder, "lan.key"), "utf8").split("\n")[1] ?? "");

  const program = chromiumAt(other);
  const chromium = await startChromium({ loopback: false, executablePath: program.path, flags: [trusting(folder)] });
  context.after(async () => {
    await chromium.close();
    program.remove();
  });
  const tokens = { Ada: sign({ sub: "ada", plenum: { room: "demo", display_name: "Ada" } }), Lin: invited };
  secrets.set("a participant's token", tokens.Ada.split(".")[2] ?? "");
  const tabs = [];
  for (const name of /** @type {const} */ (["Ada", "Lin"])) {
    const tab = await chromium.tab();
    tab.page.on("websocket", (/** @type {any} */ socket) =>
      socket.on("framereceived", (/** @type {any} */ { payload }) => {
        const proof = /"resume_token":"([^"]+)"/.exec(String(payload))?.[1];
        if (proof) secrets.set(`a resume token of ${name}`, proof);
      }),
    );
    await tab.open(`${origin}/r/demo?video=320x240@15#token=${tokens[name]}`, "");
    await tab.page.fill("#name", name);
    await tab.page.click("button.join");
    await tab.state("in", 30_000);
    tabs.push(tab);
  }
  const [ada, lin] = tabs;
  assert.ok(ada && lin);
  await Promise.all([sees(ada, "Lin", { within: 40_000 }), hears(lin, "Ada", 40_000)]);
  for (const [name, tab] of /** @type {const} */ ([["Ada", ada], ["Lin", lin]])) {
    const passwords = await tab.ask(() => {
      const { pc } = /** @type {any} */ (window).plenum;
      const of = (/** @type {any} */ description) => /a=ice-pwd:(\S+)/.exec(description.sdp)?.[1] ?? "";
      return { browser: of(pc.localDescription), server: of(pc.remoteDescription) };
    });
    secrets.set(`the ICE password of ${name}`, passwords.browser);
    secrets.set(`the ICE password of the server for ${name}`, passwords.server);
  }

  // Who fails: a forged token, an expired one, a description that is none.
  const forged = sign({ plenum: { room: "demo" } }, "some-other-secret-of-thirty-two-bytes");
  const expired = sign({ plenum: { room: "demo" }, exp: 1 });
  secrets.set("a forged token", forged.split(".")[2] ?? "");
  secrets.set("an expired token", expired.split(".")[2] ?? "");
  secrets.set("a password in a broken description", "planted-password-of-a-broken-offer");
  for (const token of [forged, expired, tokens.Ada.replace(/\./, ".."), tokens.Lin]) {
    await ada.ask(
      ([token, origin]) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`${origin}/v1/connect`, "plenum.v1.json");
          socket.onclose = resolve;
          socket.onopen = () => {
            const sdp = "v=0\r\na=ice-pwd:planted-password-of-a-broken-offer\r\n";
            socket.send(JSON.stringify({ type: "join", room: "demo", token, description: { type: "offer", sdp } }));
            socket.send(JSON.stringify({ description: { type: "offer", sdp } }));
            setTimeout(() => socket.close(), 1_000);
          };
        }),
      /** @type {const} */ ([token, origin.replace("https", "wss")]),
    );
  }
  // A backend, at the door only this machine has.
  const backend = sign({ plenum: { scopes: ["*"] } });
  secrets.set("a backend's token", backend.split(".")[2] ?? "");
  const [enter, ...rest] = machine.enter;
  const ask = `fetch("http://127.0.0.1:9464/metrics", { headers: { authorization: "Bearer ${backend}" } }).then((answer) => process.exit(answer.ok ? 0 : 1))`;
  execFileSync(/** @type {string} */ (enter), [...rest, process.execPath, "-e", ask]);

  await ada.close();
  await until(async () => (await lin.ask(() => /** @type {any} */ (window).plenum.participants.length)) === 0, { within: 20_000, what: "Ada has left" });
  await lin.close();
  child.kill("SIGTERM");
  await ended;

  assert.match(said.log, /TRACE|DEBUG/, "the log is a full one");
  assert.ok(secrets.size >= 12, [...secrets.keys()].join(", "));
  for (const [what, secret] of secrets) {
    assert.ok(secret.length >= 16, `${what} was seen`);
    assert.ok(!said.log.includes(secret), `${what} is in the log`);
  }
});
