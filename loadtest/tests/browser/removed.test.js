// The README's example, as it stands: a stock gRPC library makes a room, issues a token, sees its
// bearer come by the page, and puts it out; the page says so.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertFrames, SMALL, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
/** The virtual environment `make tools-test` made, and the stubs beside it. */
const PYTHON = process.env.PLENUM_PYTHON ?? path("target/python");

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

/** Starts the example; `lines` grows as it speaks, `ended` is its exit code. */
function startExample() {
  const child = spawn(`${PYTHON}/bin/python`, [path("docs/examples/python/rooms.py"), process.env.PLENUM_GRPC ?? ""], {
    env: { ...process.env, PYTHONPATH: `${PYTHON}/stubs`, no_proxy: "127.0.0.1" },
  });
  const example = {
    text: "",
    /** @type {number|string|null} */
    ended: null,
    stop: () => child.kill(),
    /** The rest of the line that starts with a word. @param {string} word */
    said: (word) => new RegExp(`^${word} (.*)$`, "m").exec(example.text)?.[1],
  };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (example.text += data));
  child.on("error", (error) => (example.ended = String(error)));
  child.on("close", (code) => (example.ended ??= code));
  return example;
}

test("the README's Python example removes a participant and the page says why", async (context) => {
  const ada = await chromium.tab();
  const example = startExample();
  context.after(async () => {
    example.stop();
    await ada.close();
  });
  const last = () => example;
  const url = new URL(await until(() => example.said("open"), { within: 20_000, what: "the example invites", last }));
  assert.equal(url.origin, process.env.PLENUM_URL);

  await ada.open(`${url.pathname}?${new URLSearchParams({ autojoin: "1", name: "Ada", ...SMALL })}${url.hash}`);
  const ended = () => ada.ask(() => /** @type {any} */ (window).plenum.ended);
  const end = await until(ended, { within: 20_000, what: "the page is out", last });
  assert.equal(end.reason, "REMOVED");
  assert.equal(end.message, "The stand-up is over.");
  const shown = await ada.ask(() => /** @type {HTMLElement|null} */ (document.querySelector("[data-reason=REMOVED]"))?.innerText);
  assert.match(String(shown), /The stand-up is over\./, "the page shows the words");
  await ada.screenshot("removed");

  await until(() => example.ended !== null, { within: 5_000, what: "the example ends", last });
  assert.equal(example.ended, 0, example.text);
  assert.equal(example.said("made"), "rooms/standup");
  assert.match(String(example.said("inside")), /^rooms\/standup\/participants\/ada \(Ada\), tracks: /);
  assert.equal(example.said("removed"), "rooms/standup/participants/ada");

  // The token in this tab was issued before: it does not bring her back.
  await ada.page.reload();
  const again = await until(ended, { within: 10_000, what: "the page is refused", last: () => ended() });
  assert.equal(again.reason, "TOKEN_REVOKED");
});
