// The network changes under a browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { withoutLinkLocal } from "./support/link_local.js";
import { hears, sees } from "./support/media.js";
import { assertFrames, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const FIRST = "10.88.2.1";
const SECOND = "10.88.2.2";
const ip = (/** @type {string} */ line) => execFileSync("ip", line.split(" "));
const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => {
  if (skip) return;
  // A network card of this browser's own: without the loopback flag it uses nothing else.
  ip("link add nic0 type veth peer name nic1");
  withoutLinkLocal(ip, "nic0");
  withoutLinkLocal(ip, "nic1");
  ip(`addr add ${FIRST}/24 dev nic0`);
  ip("link set nic0 up");
  ip("link set nic1 up");
  chromium = await startChromium({ loopback: false });
});
after(async () => {
  if (skip) return;
  await chromium.close();
  ip("link del nic0");
});
after(() => {
  if (!skip) assertFrames();
});

test("media continues after the browser's address changes", { skip }, async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await ada.join("address", "Ada");
  await lin.join("address", "Lin");
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada")]);
  const path = async (/** @type {import("./support/tabs.js").Tab} */ tab) =>
    tab.ask(async () => {
      const { plenum } = /** @type {any} */ (window);
      return { ...(await plenum.stats()).transport, uid: plenum.connection.welcome.uid, state: plenum.state };
    });
  const before = await path(ada);
  assert.match(before.localAddress, new RegExp(`^${FIRST}:`));
  ip(`addr add ${SECOND}/24 dev nic0`);
  ip(`addr del ${FIRST}/24 dev nic0`);
  // Deleting the primary may take the secondary along.
  try {
    ip(`addr add ${SECOND}/24 dev nic0`);
  } catch {
    // It stayed.
  }
  const changed = performance.now();
  for (const tab of [ada, lin]) {
    await until(async () => (await path(tab)).localAddress.startsWith(`${SECOND}:`), { within: 20_000, what: "the new address is in use", last: () => path(tab) });
  }
  await Promise.all([sees(ada, "Lin"), sees(lin, "Ada"), hears(ada, "Lin"), hears(lin, "Ada")]);
  context.diagnostic(`media from the new address ${Math.round(performance.now() - changed)} ms after the change`);
  const after = await path(ada);
  assert.equal(after.uid, before.uid, "by an ICE restart, not by a new join");
  await ada.state("in");
});
