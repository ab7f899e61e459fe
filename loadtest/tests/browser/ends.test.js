// Being out, and what the page says then.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, stringOf } from "./support/grpc.js";
import { others, sees } from "./support/media.js";
import { address, assertFrames, startChromium } from "./support/tabs.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

test("who is removed reads why", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("removed", "Lin");
  await ada.join("removed", "Ada", { participant: "ada" });
  await sees(lin, "Ada");
  await call("ParticipantService/RemoveParticipant", { 1: "rooms/removed/participants/ada", 2: "The review is over, thank you" });
  await ada.state("left");
  assert.equal(await ada.page.textContent("h1"), "The host removed you");
  assert.equal(await ada.page.textContent(".end-message"), "The review is over, thank you");
  await ada.screenshot("removed");
  await others(lin, [], 2_000);
});

test("a deleted room says that the meeting was closed", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  await ada.join("deleted", "Ada");
  await call("RoomService/DeleteRoom", { 1: "rooms/deleted" });
  await ada.state("left");
  assert.equal(await ada.page.textContent("h1"), "The meeting was closed");
});

test("a full room says how many fit", async (context) => {
  await call("RoomService/CreateRoom", { 1: "full", 2: { 8: { 4: 1 } } });
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("full", "Lin");
  await ada.open(address("full", "Ada"));
  await ada.state("refused");
  assert.equal(await ada.page.textContent("h1"), "The meeting is full (1)");
});

test("a token names its bearer and leaves the address bar, and a wrong one is refused", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  await lin.join("token", "Lin");
  const answer = await call("TokenService/IssueToken", { 1: "rooms/token", 2: "ada", 3: "Ada of the token" });
  const token = stringOf(answer, 1);
  assert.ok(token);
  await ada.open(`${address("token", "Somebody")}#token=${token}`);
  await ada.state("in");
  await others(lin, ["Ada of the token"]);
  assert.ok(!(await ada.ask(() => location.href)).includes("token="));
  // Changing the fragment alone would not load the page again.
  await ada.page.goto("about:blank");
  await ada.open(`${address("token", "Somebody")}#token=${token.slice(0, -4)}AAAA`);
  await ada.state("refused");
  assert.equal(await ada.page.textContent("h1"), "This link is not valid. Ask for a new one.");
});
