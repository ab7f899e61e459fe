// A moving picture in one codec, published by WHIP in the layers or the rungs the test wants.

const WIDTH = 960;
const HEIGHT = 540;
const FPS = 15;

/** So lively that the layers are worth their bits, and not more than two cores can encode. */
function lively() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d", { alpha: false });
  let tick = 0;
  setInterval(() => {
    tick += 1;
    for (let count = 0; count < 3; count += 1) {
      context.fillStyle = `hsl(${(tick * 7 + count * 37) % 360} 80% 50%)`;
      context.fillRect(Math.random() * WIDTH, Math.random() * HEIGHT, 90, 60);
    }
  }, 1_000 / FPS);
  return canvas.captureStream(FPS).getVideoTracks()[0];
}

/** Notes what leaves the encoder. */
const NOTES = `onrtctransform = ({ transformer: { readable, writable } }) => readable.pipeThrough(new TransformStream({
  transform(frame, controller) {
    const { rtpTimestamp = frame.timestamp, spatialIndex = 0, synchronizationSource = 0, height = 0 } = frame.getMetadata();
    postMessage([rtpTimestamp, spatialIndex, synchronizationSource, height, performance.timeOrigin + performance.now()]);
    controller.enqueue(frame);
  },
})).pipeTo(writable);`;
/** What left the encoder: RTP timestamp, spatial layer, SSRC, lines where it tells them, and when. */
const encoded = [];
/** What came to it: the picture's own time in microseconds, and when. */
const captured = [];

/** @param {MediaStreamTrack} track */
async function notes(track) {
  const reader = new MediaStreamTrackProcessor({ track: track.clone(), maxBufferSize: 60 }).readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    captured.push([value.timestamp, performance.timeOrigin + performance.now()]);
    value.close();
  }
}

let resource = "";
/** @type {RTCPeerConnection} */
let pc;

/**
 * The extension, in the first picture's section; Chromium does not offer it for every codec.
 * @param {string} sdp
 */
function withDescriptor(sdp) {
  const uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
  if (sdp.includes(uri)) return sdp;
  const taken = new Set([...sdp.matchAll(/a=extmap:(\d+)/g)].map(([, id]) => Number(id)));
  const id = [...Array(14).keys()].map((at) => at + 1).find((at) => !taken.has(at));
  return sdp.replace(/(m=video[\s\S]*?)(a=extmap:)/, `$1a=extmap:${id} ${uri}\r\n$2`);
}

/**
 * @param {string} url
 * @param {{codec: string, encodings: object[], described?: boolean}} options
 */
async function publish(url, { codec, encodings, described = false }) {
  pc = new RTCPeerConnection();
  const track = lively();
  notes(track);
  const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams: [new MediaStream([track])], sendEncodings: encodings });
  const worker = new Worker(URL.createObjectURL(new Blob([NOTES], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    encoded.push(data);
  };
  transceiver.sender.transform = new RTCRtpScriptTransform(worker);
  const { codecs } = RTCRtpSender.getCapabilities("video");
  const wanted = new RegExp(`^video/(${codec}|rtx)$`, "i");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => wanted.test(mimeType)));
  const offer = await pc.createOffer();
  await pc.setLocalDescription({ type: "offer", sdp: described ? withDescriptor(offer.sdp) : offer.sdp });
  const sdp = pc.localDescription.sdp;
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/sdp" }, body: sdp });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  resource = new URL(answer.headers.get("location"), url).href;
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** What is sent, by rid, and what was asked for. */
async function sums() {
  const report = await pc.getStats();
  const rows = [];
  report.forEach((row) => {
    if (row.type !== "outbound-rtp" || row.kind !== "video") return;
    const { rid, frameHeight, framesEncoded, framesSent, keyFramesEncoded, pliCount, scalabilityMode, bytesSent, encoderImplementation } = row;
    rows.push({ rid: rid ?? "", codec: report.get(row.codecId)?.mimeType, frameHeight, framesEncoded, framesSent, keyFramesEncoded, pliCount, scalabilityMode, bytesSent, encoderImplementation });
  });
  return { rows, isDescribed: /dependency-descriptor/.test(pc.remoteDescription.sdp) };
}

async function stop() {
  if (resource) await fetch(resource, { method: "DELETE" });
  pc.close();
}

window.layers = { publish, sums, stop, encoded, captured };
