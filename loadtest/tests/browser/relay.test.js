// STUN and TURN servers that the server names are really asked, with a name and password that hold:
// from the join on, and anew after a resume.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, before, test } from "node:test";
import { startLink } from "./support/link.js";
import { sees } from "./support/media.js";
import { HOST, startServer } from "./support/server.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const PORT = 26_080;
const RELAY = 26_478;
const LINK = { http: 26_180, udp: 26_183, toHttp: PORT, toUdp: PORT + 3 };
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** Of RFC 8489 §5 and RFC 8656 §17, §18. */
const COOKIE = 0x2112a442;
const ALLOCATE = 0x0003;
const ALLOCATE_ERROR = 0x0113;
const USERNAME = 0x0006;
const ERROR_CODE = 0x0009;
const REALM = 0x0014;
const NONCE = 0x0015;

/** @param {number} type @param {Buffer} value */
function attribute(type, value) {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/** "Unauthorized", with what a browser needs to say its name. @param {Buffer} request */
function unauthorized(request) {
  const body = Buffer.concat([
    attribute(ERROR_CODE, Buffer.from([0, 0, 4, 1])),
    attribute(REALM, Buffer.from("plenum")),
    attribute(NONCE, Buffer.from("once")),
  ]);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(ALLOCATE_ERROR, 0);
  head.writeUInt16BE(body.length, 2);
  head.writeUInt32BE(COOKIE, 4);
  return Buffer.concat([head, request.subarray(8, 20), body]);
}

/** @param {Buffer} request */
function usernameOf(request) {
  for (let at = 20; at + 4 <= request.length;) {
    const length = request.readUInt16BE(at + 2);
    if (request.readUInt16BE(at) === USERNAME) return request.subarray(at + 4, at + 4 + length).toString();
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return null;
}

/** A TURN server that asks everybody for a name and relays nothing. */
async function startRelay() {
  /** @type {Set<string>} */
  const names = new Set();
  const socket = createSocket("udp4");
  const relay = { names, asked: 0, close: () => socket.close() };
  socket.on("message", (request, from) => {
    if (request.length < 20 || request.readUInt16BE(0) !== ALLOCATE || request.readUInt32BE(4) !== COOKIE) return;
    relay.asked += 1;
    const name = usernameOf(request);
    if (name !== null) names.add(name);
    else socket.send(unauthorized(request), from.port, from.address);
  });
  await new Promise((resolve) => socket.bind(RELAY, HOST, () => resolve(undefined)));
  return relay;
}

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
/** @type {Awaited<ReturnType<typeof startLink>>} */
let link;
/** @type {Awaited<ReturnType<typeof startRelay>>} */
let relay;
before(async () => {
  if (skip) return;
  relay = await startRelay();
  server = await startServer({
    port: PORT,
    environment: { PLENUM_ICE__SERVERS: `turn:${HOST}:${RELAY}?transport=udp`, PLENUM_ICE__TURN_SECRET: "a-secret-of-these-tests-and-of-no-other" },
  });
  // Sockets pass through it; media does not. Chromium asks TURN servers 50 ms after its own addresses
  // and no more once it is connected, so an answer that comes at once would leave them unasked.
  link = await startLink({ ...LINK, delay: 200 });
  chromium = await startChromium();
});
after(async () => {
  if (skip) return;
  await chromium.close();
  link.close();
  await server.stop();
  relay.close();
});
after(() => {
  if (!skip) assertFrames();
});

test("a TURN server is asked from the join on, and under a fresh name after a resume", { skip, timeout: 120_000 }, async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.open(address("relayed", "Ada"), link.url);
  await ada.state("in");
  await until(() => relay.names.size > 0, { within: 10_000, what: "Ada has said her name to the TURN server", last: () => relay });
  const [first = ""] = relay.names;
  const expires = Number(first.split(":")[0]);
  assert.ok(expires > Date.now() / 1_000, `${first}: a time to come and whom it is for`);
  // The way without it is taken all the same.
  await lin.open(address("relayed", "Lin"), server.url);
  await lin.state("in");
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);

  const known = new Set(relay.names);
  const own = first.slice(first.indexOf(":"));
  link.cut();
  await ada.state("resuming", 30_000);
  link.mend();
  await ada.state("in");
  const fresh = () => [...relay.names].filter((name) => !known.has(name) && name.endsWith(own));
  await until(() => fresh().length > 0, { within: 10_000, what: "Ada has said a fresh name", last: () => [...relay.names] });
  assert.ok(Number(fresh()[0]?.split(":")[0]) > expires, `${fresh()} holds longer than ${first}`);
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);
});
