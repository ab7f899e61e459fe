// Who is there, seen from outside, and the link that brings others in.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { says } from "../support/sentences.js";
import { startChromium } from "../support/tabs.js";
import { token } from "../support/tokens.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());

test("the lobby says who is there", async (context) => {
  const tabs = await Promise.all(["Ada", "Lin", "Grace", "Joan"].map(() => chromium.tab()));
  const [ada, lin, grace, joan] = /** @type {[any, any, any, any]} */ (tabs);
  const eve = await chromium.tab();
  context.after(() => Promise.all([...tabs, eve].map((tab) => tab.close())));
  const look = async (/** @type {string} */ words) => {
    await eve.open("/r/lobby-there?camera=0&audio=0");
    await says(eve, ".there", words);
  };
  await look("No one is here yet");
  const quiet = { camera: "0", audio: "0" };
  await ada.join("lobby-there", "Ada", quiet);
  await look("Ada is here");
  await lin.join("lobby-there", "Lin", quiet);
  await look("Ada and Lin are here");
  await grace.join("lobby-there", "Grace", quiet);
  await joan.join("lobby-there", "Joan", quiet);
  await look("Ada, Lin and 2 others are here");
});

test("a token leaves the address bar, and what is copied is never one's own", async (context) => {
  const ada = await chromium.tab(undefined, { permissions: ["clipboard-read", "clipboard-write", "camera", "microphone"] });
  context.after(() => ada.close());
  const copied = async () => {
    await ada.page.fill("#name", "Ada");
    await ada.page.press("#name", "Enter");
    await ada.state("in");
    await ada.page.click('.toolbar [data-panel="people"]');
    await ada.page.click(".people footer button");
    await says(ada, ".people footer", "Copied");
    return new URL(await ada.ask(() => navigator.clipboard.readText()));
  };
  const own = await token("invite", { participant: "ada", name: "Ada" });
  await ada.open(`/r/invite#token=${own}`);
  assert.equal(await ada.ask(() => location.hash), "");
  assert.equal(await ada.ask(() => sessionStorage.getItem("plenum.token.invite")), own);
  const first = await copied();
  assert.equal(first.pathname + first.hash, "/r/invite", "the room's own link");

  await ada.page.goto("about:blank");
  const invitation = await token("invite");
  await ada.open(`/r/invite#token=${invitation}`);
  assert.equal((await copied()).hash, `#token=${invitation}`, "an invitation may be shared");

  await ada.page.goto("about:blank");
  const admin = await token("invite", { participant: "ada", name: "Ada", admin: true });
  await ada.open(`/r/invite#token=${admin}`);
  const issued = (await copied()).hash.slice("#token=".length);
  assert.ok(issued !== "" && issued !== admin, "a fresh one");
  const claims = JSON.parse(Buffer.from(issued.split(".")[1] ?? "", "base64url").toString());
  assert.equal(claims.sub, undefined, "that names nobody");
  assert.equal(claims.plenum.room, "invite");
});
