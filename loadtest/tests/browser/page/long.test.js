// A short cut of the long meeting (`npm run long-meeting -- 10`): four tabs, one minute.

import assert from "node:assert/strict";
import { test } from "node:test";
import { meet } from "../long_meeting.js";

const skip = process.env.PLENUM_NAMESPACE === "1" ? false : "needs the namespace of run.js";

test("four tabs share, chat, reload and outlive a server, and no tile freezes", { skip, timeout: 300_000 }, async (context) => {
  const { tiles, frozen, back } = await meet({ minutes: 1, tabs: 4, say: (line) => context.diagnostic(line) });
  assert.ok(tiles.length >= 12, `each of four saw the three others: ${tiles.length}`);
  assert.deepEqual(frozen, []);
  assert.ok(back < 10_000, `back ${back} ms after the server`);
});
