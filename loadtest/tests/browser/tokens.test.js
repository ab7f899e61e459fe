// What docs/tokens.md shows: each program is run, and what it prints is shown to a server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BINARY, startServer } from "./support/server.js";
import { assertFrames, startChromium } from "./support/tabs.js";

const SECRET = "a-secret-of-these-tests-and-no-other";
const text = readFileSync(fileURLToPath(new URL("../../../docs/tokens.md", import.meta.url)), "utf8");
const folder = mkdtempSync(join(tmpdir(), "plenum-tokens-"));
const keys = join(folder, "keys");
writeFileSync(keys, `main: ${SECRET}\n`);

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => {
  chromium = await startChromium();
  server = await startServer({ port: 19_380, arguments: ["--keys-file", keys] });
});
after(async () => {
  await chromium.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
after(assertFrames);

/** @param {string} language */
function block(language) {
  const found = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(text)?.[1];
  assert.ok(found, `docs/tokens.md has a block of ${language}`);
  return found;
}

/** The answer to ListRooms with that token: "0" is OK. @param {string} token */
function listRooms(token) {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${server.grpc}`);
    session.on("error", reject);
    const call = session.request({
      ":method": "POST",
      ":path": "/plenum.v1.RoomService/ListRooms",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${token}`,
    });
    let status = "";
    const take = (/** @type {any} */ headers) => (status = headers["grpc-status"] ?? status);
    call.on("response", take);
    call.on("trailers", take);
    call.on("data", () => {});
    call.on("close", () => {
      session.close();
      resolve(status);
    });
    call.end(Buffer.alloc(5));
  });
}

/** @param {string} printed two lines */
async function areGood(printed) {
  const [participant, backend] = printed.trim().split("\n");
  assert.ok(participant && backend);
  assert.equal(await listRooms(backend), "0");
  // Each kind is refused where the other belongs.
  assert.notEqual(await listRooms(participant), "0");
  const tab = await chromium.tab();
  await tab.open(`/r/standup?autojoin=1&name=Ada&camera=0&audio=0#token=${participant}`, server.url);
  await tab.state("in");
  assert.equal(await tab.ask(() => /** @type {any} */ (window).plenum.connection.self), "ada");
  await tab.close();
}

for (const [language, file, command] of /** @type {const} */ ([
  ["python", "sign.py", ["python3"]],
  ["js", "sign.mjs", ["node"]],
  ["go", "sign.go", ["go", "run"]],
])) {
  test(`the ${language} of docs/tokens.md signs tokens that are taken`, async () => {
    const path = join(folder, file);
    writeFileSync(path, block(language));
    const [program, ...rest] = command;
    const env = { ...process.env, PLENUM_SECRET: SECRET, GO111MODULE: "off" };
    await areGood(execFileSync(program, [...rest, path], { env }).toString());
  });
}

test("the commands of docs/tokens.md sign tokens that are taken", async () => {
  const binary = process.env.PLENUM_BIN ?? BINARY;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLENUM_")));
  const script = block("sh").replaceAll("plenum token", `${binary} token`);
  await areGood(execFileSync("sh", ["-ec", script], { cwd: folder, env }).toString());
});
