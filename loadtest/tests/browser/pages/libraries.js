// Four ways in that others wrote. What npm installed is served as it is; two of the packages are
// CommonJS, so this page has the few lines that a bundler would put around them.

import { WHEPClient } from "/node_modules/whip-whep/whep.js";
import { WHIPClient } from "/node_modules/whip-whep/whip.js";

const FILES = {
  events: "events/events.js",
  "@eyevinn/whip-web-client": "@eyevinn/whip-web-client/dist/whip-client.js",
  "@eyevinn/webrtc-player": "@eyevinn/webrtc-player/dist/main.js",
  "@eyevinn/whpp-client": "@eyevinn/whpp-client/dist/whpp-client.js",
  "sdp-transform": "sdp-transform/lib/index.js",
  "./parser": "sdp-transform/lib/parser.js",
  "./writer": "sdp-transform/lib/writer.js",
  "./grammar": "sdp-transform/lib/grammar.js",
};

/** @type {Map<string, string>} */
const texts = new Map(
  await Promise.all(Object.entries(FILES).map(async ([name, file]) => [name, await (await fetch(`/node_modules/${file}`)).text()])),
);
const loaded = new Map();

function require(name) {
  if (loaded.has(name)) return loaded.get(name).exports;
  const module = { exports: {} };
  loaded.set(name, module);
  // Advertisements are no part of this test.
  if (texts.has(name)) new Function("module", "exports", "require", texts.get(name))(module, module.exports, require);
  return module.exports;
}

const wanted = { audio: true, video: { width: 320, height: 240, frameRate: 15 } };
const video = document.getElementById("seen");
/** What `stop` and `restart` act on. */
let running;

window.libraries = {
  async medoozePublish(url) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    const publisher = new WHIPClient();
    await publisher.publish(pc, url);
    running = { stop: () => publisher.stop(), restart: () => publisher.restart() };
  },

  async medoozePlay(url) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.addTransceiver("video", { direction: "recvonly" });
    pc.ontrack = ({ streams: [stream] }) => (video.srcObject = stream);
    const player = new WHEPClient();
    await player.view(pc, url);
    running = { stop: () => player.stop(), restart: () => player.restart() };
  },

  async eyevinnPublish(url) {
    const { WHIPClient: Publisher } = require("@eyevinn/whip-web-client");
    const publisher = new Publisher({ endpoint: url, opts: { iceServers: [] } });
    await publisher.ingest(await navigator.mediaDevices.getUserMedia(wanted));
    running = { stop: () => publisher.destroy() };
  },

  async eyevinnPlay(url) {
    const { WebRTCPlayer } = require("@eyevinn/webrtc-player");
    const player = new WebRTCPlayer({ video, type: "whep", iceServers: [] });
    await player.load(new URL(url));
    running = { stop: () => player.unload() };
  },

  stop: () => running.stop(),
  restart: () => running.restart(),
};
