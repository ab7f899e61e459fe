// A page with nothing but fetch and RTCPeerConnection: it publishes by WHIP (RFC 9725) and plays by
// WHEP (draft-ietf-wish-whep).

const SMALL = { width: 320, height: 240, frameRate: 15 };

/** One HTTP exchange and what it made. */
class Exchange {
  pc = new RTCPeerConnection();
  resource = "";
  etag = "";
  statuses = [];

  /** @param {string} url @param {string} [token] */
  async post(url, token) {
    await this.pc.setLocalDescription();
    const headers = { "content-type": "application/sdp" };
    if (token) headers.authorization = `Bearer ${token}`;
    const answer = await fetch(url, { method: "POST", headers, body: this.pc.localDescription.sdp });
    this.statuses.push(answer.status);
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    this.resource = new URL(answer.headers.get("location"), url).href;
    this.etag = answer.headers.get("etag");
    await this.pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    return this;
  }

  /** @param {string} body @param {string|null} ifMatch */
  async patch(body, ifMatch) {
    const headers = { "content-type": "application/trickle-ice-sdpfrag" };
    if (ifMatch) headers["if-match"] = ifMatch;
    const answer = await fetch(this.resource, { method: "PATCH", headers, body });
    this.statuses.push(answer.status);
    return answer;
  }

  /** What was gathered since the offer left. */
  trickle() {
    const sdp = this.pc.localDescription.sdp;
    const line = (name) => sdp.match(new RegExp(`a=${name}:.*\r\n`))[0];
    const candidates = [...sdp.matchAll(/a=candidate:.*\r\n/g)].map(([text]) => text);
    const own = candidates.filter((text, index) => candidates.indexOf(text) === index).join("");
    const fragment = `${line("ice-ufrag")}${line("ice-pwd")}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n${line("mid")}${own}a=end-of-candidates\r\n`;
    return this.patch(fragment, this.etag);
  }

  async restart() {
    this.pc.restartIce();
    await this.pc.setLocalDescription();
    const own = this.pc.localDescription.sdp;
    const before = this.pc.remoteDescription.sdp;
    const line = (sdp, name) => sdp.match(new RegExp(`a=${name}:.*\r\n`))[0];
    const answer = await this.patch(line(own, "ice-ufrag") + line(own, "ice-pwd"), "*");
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    const fragment = await answer.text();
    this.etag = answer.headers.get("etag");
    // The answer's m-lines are those of the first one, with the credentials of now.
    const sdp = ["ice-ufrag", "ice-pwd"].reduce(
      (text, name) => text.replaceAll(new RegExp(`a=${name}:.*\r\n`, "g"), line(fragment, name)),
      before,
    );
    await this.pc.setRemoteDescription({ type: "answer", sdp });
    return { ufrag: line(fragment, "ice-ufrag") };
  }

  async stop() {
    // In this order: a connection that closes says so, and with it goes what DELETE is for.
    const answer = await fetch(this.resource, { method: "DELETE" });
    this.statuses.push(answer.status);
    this.pc.close();
    return answer.status;
  }

  /** What is sent of each rung, lowest first, and what may be sent in all. */
  async rungs() {
    const rungs = [];
    let allowed = 0;
    (await this.pc.getStats()).forEach((row) => {
      if (row.type === "candidate-pair" && row.nominated) allowed = row.availableOutgoingBitrate ?? 0;
      if (row.type !== "outbound-rtp" || row.kind !== "video") return;
      rungs.push({ rid: row.rid ?? "", frames: row.framesEncoded ?? 0, bytes: row.bytesSent ?? 0, lines: row.frameHeight ?? 0, target: row.targetBitrate ?? 0 });
    });
    const order = ["q", "h", "f"];
    return { allowed, rungs: rungs.sort((one, other) => order.indexOf(one.rid) - order.indexOf(other.rid)) };
  }

  /** Sums of getStats(). */
  async sums() {
    const sums = { sent: 0, frames: 0, energy: 0, width: 0, height: 0, state: this.pc.connectionState, pair: "", rids: [] };
    const report = await this.pc.getStats();
    report.forEach((row) => {
      if (row.type === "outbound-rtp") {
        sums.sent += row.packetsSent ?? 0;
        if (row.rid) sums.rids.push(row.rid);
      }
      if (row.type === "inbound-rtp") {
        sums.frames += row.framesDecoded ?? 0;
        sums.energy += row.totalAudioEnergy ?? 0;
        sums.width = row.frameWidth ?? sums.width;
        sums.height = row.frameHeight ?? sums.height;
      }
      if (row.type === "transport") sums.pair = row.selectedCandidatePairId ?? "";
    });
    return sums;
  }
}

/**
 * @param {string} url
 * @param {{token?: string, simulcast?: boolean, color?: string}} [options] `color`: a picture of that
 *   color instead of the camera's, and a tone instead of the beeps, which are too short for speech
 */
async function publish(url, { token, simulcast = false, color } = {}) {
  const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: SMALL });
  const exchange = new Exchange();
  const [sound] = (color ? toned() : camera).getAudioTracks();
  const [picture] = (color ? painted(color) : simulcast ? lively() : camera).getVideoTracks();
  exchange.sound = sound;
  exchange.picture = picture;
  const sendEncodings = simulcast
    ? [{ rid: "q", scaleResolutionDownBy: 4 }, { rid: "h", scaleResolutionDownBy: 2 }, { rid: "f" }]
    : [{}];
  exchange.pc.addTransceiver(sound, { direction: "sendonly", streams: [camera] });
  exchange.pc.addTransceiver(picture, { direction: "sendonly", streams: [camera], sendEncodings });
  document.getElementById("own").srcObject = camera;
  return exchange.post(url, token);
}

/** A picture of one color that changes a little, so that there are frames. */
function painted(color) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const context = canvas.getContext("2d");
  let tick = 0;
  setInterval(() => {
    context.fillStyle = color;
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = "white";
    context.fillRect((tick += 4) % 300, 110, 20, 20);
  }, 66);
  return canvas.captureStream(15);
}

/** A large picture with much in it: below this size Chromium sends fewer layers than asked for. */
function lively() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 540 });
  const context = canvas.getContext("2d");
  setInterval(() => {
    for (let count = 0; count < 60; count += 1) {
      context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
      context.fillRect(Math.random() * 960, Math.random() * 540, 60, 40);
    }
  }, 100);
  return canvas.captureStream(10);
}

function toned() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const out = new MediaStreamAudioDestinationNode(context);
  tone.connect(out);
  tone.start();
  return out.stream;
}

/** @param {string} url @param {{token?: string}} [options] */
async function play(url, { token } = {}) {
  const exchange = new Exchange();
  exchange.pc.addTransceiver("audio", { direction: "recvonly" });
  exchange.pc.addTransceiver("video", { direction: "recvonly" });
  exchange.pc.ontrack = ({ streams: [stream] }) => (document.getElementById("seen").srcObject = stream);
  return exchange.post(url, token);
}

/** The middle of the picture that is played, as red, green and blue. */
function color() {
  const video = document.getElementById("seen");
  if (!video.videoWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 8, 8);
  return [...context.getImageData(4, 1, 1, 1).data].slice(0, 3);
}

window.whip = { publish, play, color, exchanges: [] };
