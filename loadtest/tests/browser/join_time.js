// From the moment a page is told to join until its first decoded frame, over 20 joins.
//
// Prints a table and one line of JSON; exit 1 where the median is above 1 s or p95 above 2 s.

import { address, startChromium } from "./support/tabs.js";
import { until } from "./support/until.js";

const JOINS = 20;
const MEDIAN_MS_MAX = 1_000;
const P95_MS_MAX = 2_000;

const chromium = await startChromium();
const lin = await chromium.tab();
await lin.join("join-time", "Lin");

/** @type {{welcome: number, connected: number, frame: number}[]} */
const rows = [];
for (let index = 0; index < JOINS; index += 1) {
  const tab = await chromium.tab();
  // Everything is ready, as for a person who presses Join in the lobby.
  await tab.open(address("join-time", `Ada ${index}`).replace("autojoin=1", "autojoin=0"));
  await tab.page.fill("#name", `Ada ${index}`);
  await until(() => tab.ask(() => (document.querySelector("video")?.videoWidth ?? 0) > 0), { within: 10_000, what: "the preview shows" });
  rows.push(
    await tab.ask(
      () =>
        new Promise((resolve) => {
          const { plenum } = /** @type {any} */ (window);
          const start = performance.now();
          let welcome = 0;
          let connected = 0;
          /** @type {HTMLButtonElement} */ (document.querySelector("button[type=submit]")).click();
          const look = async () => {
            const now = performance.now() - start;
            if (!welcome && plenum.state === "in") welcome = now;
            if (!connected && plenum.pc?.connectionState === "connected") connected = now;
            let frames = 0;
            if (connected) (await plenum.pc.getStats()).forEach((/** @type {any} */ row) => (frames += row.type === "inbound-rtp" ? (row.framesDecoded ?? 0) : 0));
            if (frames > 0) resolve({ welcome, connected, frame: performance.now() - start });
            else setTimeout(look, 5);
          };
          void look();
        }),
    ),
  );
  await tab.close();
}
await chromium.close();

/** @param {"welcome"|"connected"|"frame"} what @param {number} share */
const quantile = (what, share) => {
  const sorted = rows.map((row) => row[what]).sort((left, right) => left - right);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0);
};
console.log("join  welcome  connected  first frame   (ms after the click)");
rows.forEach(({ welcome, connected, frame }, index) => {
  console.log(`${String(index + 1).padStart(4)}  ${Math.round(welcome).toString().padStart(7)}  ${Math.round(connected).toString().padStart(9)}  ${Math.round(frame).toString().padStart(11)}`);
});
const result = {
  joins: rows.length,
  welcome_ms_median: quantile("welcome", 0.5),
  connected_ms_median: quantile("connected", 0.5),
  first_frame_ms_median: quantile("frame", 0.5),
  first_frame_ms_p95: quantile("frame", 0.95),
  first_frame_ms_max: quantile("frame", 1),
};
console.log(JSON.stringify(result));
process.exit(result.first_frame_ms_median > MEDIAN_MS_MAX || result.first_frame_ms_p95 > P95_MS_MAX ? 1 : 0);
