// Devices that come, go, fall silent or are muted during a meeting.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hears, sees } from "../support/media.js";
import { key, says } from "../support/sentences.js";
import { address, assertFrames, startChromium } from "../support/tabs.js";
import { until } from "../support/until.js";

/** @type {Awaited<ReturnType<typeof startChromium>>} */
let chromium;
before(async () => void (chromium = await startChromium()));
after(() => chromium.close());
after(assertFrames);

test("permission that is taken back is said, with Retry, and given back it works again", async (context) => {
  const asking = await startChromium({ without: ["use-fake-ui-for-media-stream"], flags: ["--deny-permission-prompts"] });
  const ada = await asking.tab(undefined, { permissions: ["camera", "microphone"] });
  const lin = await chromium.tab();
  context.after(async () => {
    await Promise.all([ada.close(), lin.close()]);
    await asking.close();
  });
  await lin.join("revoked", "Lin");
  await ada.join("revoked", "Ada");
  await Promise.all([sees(lin, "Ada"), hears(lin, "Ada")]);
  await ada.page.context().clearPermissions();
  await says(ada, ".toasts", "is blocked. Click the");
  await until(() => ada.page.locator('.toolbar button[aria-label^="Turn camera on"]').count(), { within: 5_000, what: "the camera is off" });
  await ada.page.context().grantPermissions(["camera", "microphone"]);
  await key(ada, "v");
  await key(ada, "m");
  await Promise.all([sees(lin, "Ada"), hears(lin, "Ada")]);
});

test("where a device goes, the next takes its place and is heard; a new one is offered", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  // The browser's fake devices cannot be unplugged: what it says then is said here.
  await ada.page.addInitScript(() => {
    const { mediaDevices } = navigator;
    const scope = /** @type {any} */ (window);
    scope.given = [];
    const real = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wish) => {
      const stream = await real(wish);
      scope.given.push(...stream.getTracks());
      return stream;
    };
    const enumerate = mediaDevices.enumerateDevices.bind(mediaDevices);
    mediaDevices.enumerateDevices = async () => [...(await enumerate()), ...(scope.extra ?? [])];
  });
  await lin.join("unplugged", "Lin");
  await ada.join("unplugged", "Ada");
  await hears(lin, "Ada");
  await ada.ask(() => {
    const track = /** @type {any} */ (window).given.find((/** @type {MediaStreamTrack} */ { kind }) => kind === "audio");
    track.stop();
    track.dispatchEvent(new Event("ended"));
  });
  await says(ada, ".toasts", "Switched to Fake");
  await hears(lin, "Ada");
  await ada.ask(() => {
    /** @type {any} */ (window).extra = [{ kind: "audioinput", deviceId: "airpods", label: "AirPods", groupId: "" }];
    navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
  });
  await says(ada, ".toasts", "Use AirPods?");
  await ada.page.click(".toast:has-text('AirPods') button");
  await until(() => ada.ask(() => localStorage.getItem("plenum.microphone") === "airpods"), { within: 3_000, what: "it is chosen" });
  await hears(lin, "Ada");
});

test("eight seconds of exact silence are said, and speaking while muted is", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  // A microphone that gives exactly nothing, and one that speaks word by word: told is who begins to
  // speak while muted, which who never pauses does once at most, and maybe before the key is pressed.
  for (const [tab, gain] of /** @type {const} */ ([[ada, 0], [lin, 0.5]])) {
    await tab.page.addInitScript((gain) => {
      const { mediaDevices } = navigator;
      const real = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = async (wish) => {
        const stream = await real(wish);
        const audio = new AudioContext();
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        const into = audio.createMediaStreamDestination();
        let isWord = false;
        const turn = () => {
          isWord = !isWord;
          volume.gain.value = isWord ? gain : 0;
        };
        turn();
        setInterval(turn, 800);
        tone.connect(volume).connect(into);
        tone.start();
        return new MediaStream([...stream.getVideoTracks(), ...(wish?.audio ? into.stream.getAudioTracks() : [])]);
      };
    }, gain);
  }
  const begun = performance.now();
  await ada.join("silent", "Ada");
  await lin.open(address("silent", "Lin"));
  await lin.state("in");
  await key(lin, "m");
  await says(lin, ".toasts", "You're muted. Press M.");
  await says(ada, ".toasts", "We can't hear your microphone", 20_000);
  assert.ok(performance.now() - begun > 8_000, "not before eight seconds");
});

test("without https the page says where to go", async (context) => {
  const ada = await chromium.tab();
  context.after(() => ada.close());
  // What a browser gives a page that did not come by https.
  await ada.page.addInitScript(() => Object.defineProperty(navigator, "mediaDevices", { value: undefined }));
  await ada.open("/r/insecure");
  await says(ada, ".problems", "Camera and microphone need https. Open https://");
  await ada.page.fill("#name", "Ada");
  await ada.page.press("#name", "Enter");
  await ada.state("in");
});

test("where the browser blocks sound, a button lets the others be heard", async (context) => {
  const ada = await chromium.tab();
  const lin = await chromium.tab();
  context.after(() => Promise.all([ada.close(), lin.close()]));
  // What drives the browser counts as a user's gesture, after which nothing is blocked: here the
  // browser's answer before the first one.
  await ada.page.addInitScript(() => {
    const { play } = HTMLMediaElement.prototype;
    let isTouched = false;
    addEventListener("click", () => (isTouched = true), { capture: true });
    HTMLAudioElement.prototype.play = function () {
      return isTouched ? play.call(this) : Promise.reject(new DOMException("no gesture", "NotAllowedError"));
    };
  });
  await lin.join("autoplay", "Lin");
  await ada.join("autoplay", "Ada", { audio: "0", camera: "0" });
  await ada.page.click("text=Click to hear the others");
  await until(() => ada.ask(() => [...document.querySelectorAll("audio")].every((sound) => !sound.paused)), { within: 5_000, what: "the sounds play" });
});
