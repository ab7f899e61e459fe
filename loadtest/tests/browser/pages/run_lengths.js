// A picture in one codec at one bitrate, published by WHIP, and watched by WHEP beside it.

const WIDTH = 1_280;
const HEIGHT = 720;
const FPS = 30;

/** More changes than the bits are enough for: what is sent is what is allowed. */
function lively() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d", { alpha: false });
  let tick = 0;
  setInterval(() => {
    tick += 1;
    for (let count = 0; count < 25; count += 1) {
      context.fillStyle = `hsl(${(tick * 7 + count * 37) % 360} 80% 50%)`;
      context.fillRect(Math.random() * WIDTH, Math.random() * HEIGHT, 140, 90);
    }
  }, 1_000 / FPS);
  return canvas.captureStream(FPS).getVideoTracks()[0];
}

/** @type {{pc: RTCPeerConnection, resource: string}[]} */
const opened = [];

/** @param {RTCPeerConnection} pc @param {string} url */
async function exchange(pc, url) {
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/sdp" }, body: pc.localDescription.sdp });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  opened.push({ pc, resource: new URL(answer.headers.get("location"), url).href });
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** @param {string} url @param {{codec: string, bitrate: number}} options */
async function publish(url, { codec, bitrate }) {
  const pc = new RTCPeerConnection();
  const track = lively();
  const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams: [new MediaStream([track])], sendEncodings: [{ maxBitrate: bitrate }] });
  const wanted = new RegExp(`^video/(${codec}|rtx)$`, "i");
  transceiver.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter(({ mimeType }) => wanted.test(mimeType)));
  await exchange(pc, url);
}

/** @param {string} url */
async function watch(url) {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("video", { direction: "recvonly" });
  await exchange(pc, url);
}

/** What was sent and what was seen so far. */
async function sums() {
  const found = { bytes: 0, packets: 0, frames: 0, width: 0, codec: "", decoded: 0 };
  for (const { pc } of opened) {
    const report = await pc.getStats();
    report.forEach((row) => {
      if (row.type === "outbound-rtp") {
        Object.assign(found, { bytes: row.bytesSent, packets: row.packetsSent, frames: row.framesSent, width: row.frameWidth ?? 0, codec: report.get(row.codecId)?.mimeType ?? "" });
      }
      if (row.type === "inbound-rtp") found.decoded += row.framesDecoded ?? 0;
    });
  }
  return found;
}

async function stop() {
  for (const { pc, resource } of opened.splice(0)) {
    await fetch(resource, { method: "DELETE" });
    pc.close();
  }
}

window.runs = { publish, watch, sums, stop };
