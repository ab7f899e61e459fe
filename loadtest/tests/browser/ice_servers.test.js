// Servers for ICE as a page is told them: those a browser does not take cost nothing but themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

test("an address the browser does not take ends no rejoin, and the others are used", async (context) => {
  const [ada, lin] = [await chromium.tab(), await chromium.tab()];
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join("ice-servers", "Ada");
  await lin.join("ice-servers", "Lin");
  await sees(ada, "Lin");
  const before = await ada.ask(() => {
    const { connection } = /** @type {any} */ (window).plenum;
    connection.welcome.ice_servers = [{ urls: ["nonsense"] }, { urls: ["stun:127.0.0.1:9", "turn:a b"] }];
    connection.stay.emit("message", { type: "leave", reason: "NODE_DRAINING", action: "REJOIN" });
    return connection.welcome.uid;
  });
  await until(() => ada.ask((before) => {
    const { connection, state } = /** @type {any} */ (window).plenum;
    return state === "in" && connection.welcome.uid !== before;
  }, before), { within: 15_000, what: "Ada is in again", last: () => ada.ask(() => /** @type {any} */ (window).plenum.state) });
  await sees(ada, "Lin", { within: 20_000 });
});

test("servers that are told anew are those of the next gathering", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("ice-anew", "Ada");
  const used = await ada.ask(() => {
    const { stay } = /** @type {any} */ (window).plenum.connection;
    /** @type {string[]} */
    const failures = [];
    stay.on("failed", (/** @type {unknown} */ error) => failures.push(String(error)));
    const tell = (/** @type {string} */ username) => stay.useServers([
      { urls: ["nonsense"] },
      { urls: ["stun:127.0.0.1:9", "turn:a b"] },
      { urls: "turn:127.0.0.1:9", username, credential: "b" },
    ]);
    tell("a");
    // Another password for the same servers, as every few hours.
    tell("c");
    const servers = stay.pc.getConfiguration().iceServers;
    return { failures, servers: servers.map((/** @type {RTCIceServer} */ { urls, username }) => [String(urls), username ?? ""]) };
  });
  assert.deepEqual(used.servers, [["stun:127.0.0.1:9", ""], ["turn:127.0.0.1:9", "c"]]);
  assert.equal(used.failures.length, 2, `each address is said once: ${used.failures.join("; ")}`);
});
