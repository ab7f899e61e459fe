// One picture and one sound on two ways: published by WHIP in three rungs and played by WHEP, or
// straight to another browser. Wherever a description names an address, the page puts the port it is
// told instead, so that all media passes there.

const RUNGS = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", maxBitrate: 1_300_000 },
];
const WIDTH = 960;
const HEIGHT = 540;
const FPS = 15;

/** Gaps between two pictures of the source: what this machine could not paint in time. */
const painted = [];

/** @param {number} width @param {number} height */
function surface(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return { canvas, context: canvas.getContext("2d", { alpha: false }) };
}

/** Grey or coloured points that nothing relates to each other. @param {number} spread @param {boolean} isGrey */
function points(width, height, spread, isGrey) {
  const { canvas, context } = surface(width, height);
  const image = context.createImageData(width, height);
  for (let at = 0; at < image.data.length; at += 4) {
    const value = 128 + (Math.random() - 0.5) * spread;
    for (let colour = 0; colour < 3; colour += 1) {
      image.data[at + colour] = isGrey ? value : 128 + (Math.random() - 0.5) * spread;
    }
    image.data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * What a lens sees: the finer, the fainter, with the square of the frequency in power (Field 1987,
 * "Relations between the statistics of natural images"). A key frame of it costs a few times what a
 * picture costs, as that of a camera does; of sharp edges all over it costs twelve times as much.
 */
function scenery(width, height) {
  const { canvas, context } = surface(width, height);
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "hard-light";
  context.imageSmoothingQuality = "high";
  for (let size = 2, strength = 1; size <= width / 2; size *= 2, strength *= 0.62) {
    context.globalAlpha = strength;
    const across = Math.ceil((size * width) / height);
    context.drawImage(points(across, size, 255, size > 16), 0, 0, width, height);
  }
  return canvas;
}

/** A camera that is held by hand before somebody who moves, in a room that is none too bright. */
function lively() {
  const { canvas, context } = surface(WIDTH, HEIGHT);
  const [room, person] = [scenery(WIDTH + 160, HEIGHT + 120), scenery(WIDTH / 2, HEIGHT)];
  const grain = context.createPattern(points(512, 512, 255, true), "repeat");
  let last = performance.now();
  let tick = 0;
  setInterval(() => {
    const now = performance.now();
    painted.push({ at: performance.timeOrigin + now, gap: now - last });
    if (painted.length > 4_000) painted.shift();
    last = now;
    tick += 1;
    const sway = (period, span) => Math.round(Math.sin((tick * 2 * Math.PI) / period) * span);
    context.drawImage(room, -80 + sway(61, 70), -60 + sway(43, 50));
    context.save();
    context.beginPath();
    context.ellipse(WIDTH / 2 + sway(29, 120), HEIGHT * 0.6 + sway(17, 30), 170, 230, sway(37, 1) * 0.2, 0, 2 * Math.PI);
    context.clip();
    context.drawImage(person, WIDTH / 4 + sway(29, 120), sway(17, 30));
    context.restore();
    context.save();
    context.globalAlpha = 0.05;
    context.translate(Math.random() * 512, Math.random() * 512);
    context.fillStyle = grain;
    context.fillRect(-512, -512, WIDTH + 512, HEIGHT + 512);
    context.restore();
  }, 1_000 / FPS);
  return canvas.captureStream(FPS).getVideoTracks()[0];
}

/** A tone that goes up and down: silence could be made up by anybody. */
function toned() {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const vibrato = new OscillatorNode(context, { frequency: 3 });
  const depth = new GainNode(context, { gain: 80 });
  const out = new MediaStreamAudioDestinationNode(context);
  vibrato.connect(depth).connect(tone.frequency);
  tone.connect(out);
  tone.start();
  vibrato.start();
  return out.stream.getAudioTracks()[0];
}

/** @param {string} sdp @param {{host: string, port: number}|null} way */
function led(sdp, way) {
  if (!way) return sdp;
  const lines = sdp.split("\r\n").filter((line) => !line.startsWith("a=candidate:") && line !== "a=end-of-candidates");
  const candidate = `a=candidate:1 1 udp 2130706431 ${way.host} ${way.port} typ host`;
  // After the credentials of the first section: the others are bundled with it.
  const at = lines.findIndex((line) => line.startsWith("a=ice-pwd:"));
  const isOfSession = !lines.slice(0, at).some((line) => line.startsWith("m="));
  const after = isOfSession ? lines.findIndex((line) => line.startsWith("a=mid:")) : at;
  return [...lines.slice(0, after + 1), candidate, ...lines.slice(after + 1)].join("\r\n");
}

class Way {
  pc = new RTCPeerConnection();
  resource = "";
  way = null;
  picture = null;
  /** @type {RTCRtpSender|null} */
  sender = null;

  async #post(url) {
    await this.pc.setLocalDescription();
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/sdp" }, body: this.pc.localDescription.sdp });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    this.resource = new URL(answer.headers.get("location"), url).href;
    await this.pc.setRemoteDescription({ type: "answer", sdp: led(await answer.text(), this.way) });
  }

  /** @param {object[]} sendEncodings */
  #sends(sendEncodings) {
    const sound = toned();
    this.picture = lively();
    const stream = new MediaStream([sound, this.picture]);
    this.pc.addTransceiver(sound, { direction: "sendonly", streams: [stream] });
    const transceiver = this.pc.addTransceiver(this.picture, { direction: "sendonly", streams: [stream], sendEncodings });
    const { codecs } = RTCRtpSender.getCapabilities("video");
    transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => /VP8|rtx/i.test(mimeType)));
    this.sender = transceiver.sender;
  }

  #shows() {
    this.pc.ontrack = ({ streams: [stream] }) => (document.getElementById("seen").srcObject = stream);
  }

  /** @param {string} url @param {{host: string, port: number}|null} [way] */
  async publish(url, way = null) {
    this.way = way;
    this.#sends(RUNGS);
    await this.#post(url);
  }

  /** @param {string} url @param {{host: string, port: number}|null} way */
  async play(url, way) {
    this.way = way;
    this.#shows();
    this.pc.addTransceiver("audio", { direction: "recvonly" });
    this.pc.addTransceiver("video", { direction: "recvonly" });
    await this.#post(url);
  }

  /** Restarts ICE with the server; from then on by this way. @param {{host: string, port: number}} way */
  async restart(way) {
    this.way = way;
    this.pc.restartIce();
    await this.pc.setLocalDescription();
    const line = (sdp, name) => sdp.match(new RegExp(`a=${name}:.*\r\n`))[0];
    const own = this.pc.localDescription.sdp;
    const answer = await fetch(this.resource, {
      method: "PATCH",
      headers: { "content-type": "application/trickle-ice-sdpfrag", "if-match": "*" },
      body: line(own, "ice-ufrag") + line(own, "ice-pwd"),
    });
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    const fragment = await answer.text();
    const before = this.pc.remoteDescription.sdp;
    const sdp = ["ice-ufrag", "ice-pwd"].reduce((text, name) => text.replaceAll(new RegExp(`a=${name}:.*\r\n`, "g"), line(fragment, name)), before);
    await this.pc.setRemoteDescription({ type: "answer", sdp: led(sdp, way) });
  }

  /** The offer of a browser that sends to another. @param {number} bitrate_max */
  async offer(bitrate_max) {
    if (!this.sender) this.#sends([{ maxBitrate: bitrate_max }]);
    else this.pc.restartIce();
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  }

  /** @param {string} sdp @param {{host: string, port: number}} way */
  async answer(sdp, way) {
    this.#shows();
    await this.pc.setRemoteDescription({ type: "offer", sdp: led(sdp, way) });
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  }

  /** @param {string} sdp @param {{host: string, port: number}} way */
  async agree(sdp, way) {
    await this.pc.setRemoteDescription({ type: "answer", sdp: led(sdp, way) });
  }

  /** Sends no picture, or one again, as a muted camera does. @param {boolean} muted */
  async mute(muted) {
    await this.sender.replaceTrack(muted ? null : this.picture);
  }

  /** @param {string} rid @param {boolean} active */
  async activate(rid, active) {
    const parameters = this.sender.getParameters();
    for (const encoding of parameters.encodings) if (encoding.rid === rid) encoding.active = active;
    await this.sender.setParameters(parameters);
  }

  async stop() {
    if (this.resource) await fetch(this.resource, { method: "DELETE" });
    this.pc.close();
  }

  /** What there is to say now. */
  async look() {
    const seen = { at: performance.timeOrigin + performance.now(), state: this.pc.connectionState, rtt: 0, available: 0, video: null, audio: null, rungs: {}, painted: painted.splice(0) };
    const report = await this.pc.getStats();
    report.forEach((row) => {
      if (row.type === "candidate-pair" && row.nominated) {
        seen.rtt = row.currentRoundTripTime ?? 0;
        seen.available = row.availableOutgoingBitrate ?? 0;
      }
      if (row.type === "inbound-rtp") seen[row.kind] = row;
      if (row.type === "outbound-rtp" && row.kind === "video") seen.rungs[row.rid ?? ""] = row;
    });
    return seen;
  }
}

window.twin = { Way, it: new Way() };
