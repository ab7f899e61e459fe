// One's own camera and microphone: asked for once, kept across lobby, meeting and rejoin.

import { Emitter } from "../plenum/emitter.js";
import { say } from "../strings.js";

/** @typedef {{width: number, height: number, frameRate: number}} VideoSize */

/** @extends {Emitter<{changed: void}>} */
export class Devices extends Emitter {
  /** @type {MediaStreamTrack|null} */
  microphone = null;
  /** @type {MediaStreamTrack|null} */
  camera = null;
  microphoneOn = true;
  cameraOn = true;
  /** What is wrong, as sentences for the reader.
   * @type {string[]} */
  problems = [];
  /** True while the browser asks or the camera starts. */
  starting = false;
  #size;

  /** @param {VideoSize} size wished of the camera */
  constructor(size) {
    super();
    this.#size = size;
  }

  /**
   * Opens what is wished; what is missing or forbidden becomes a problem, never an exception.
   * @param {boolean} [microphone]
   * @param {boolean} [camera]
   */
  async open(microphone = true, camera = true) {
    this.microphoneOn = microphone;
    this.cameraOn = camera;
    this.problems = [];
    if (!navigator.mediaDevices) {
      this.problems = [say("needHttps", `https://${location.host}${location.pathname}`)];
      this.microphoneOn = this.cameraOn = false;
      this.emit("changed", undefined);
      return;
    }
    this.starting = camera;
    this.emit("changed", undefined);
    if (!(microphone && camera && (await this.#openBoth()))) {
      // One of the two may be fine: each is asked for by itself and says what ails it.
      if (microphone) this.microphone = await this.#openOne("microphone");
      if (camera) this.camera = await this.#openOne("camera");
    }
    this.starting = false;
    this.emit("changed", undefined);
  }

  async #openBoth() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: AUDIO, video: this.#video() });
      this.microphone = stream.getAudioTracks()[0] ?? null;
      this.camera = stream.getVideoTracks()[0] ?? null;
      return true;
    } catch {
      return false;
    }
  }

  /** @param {"microphone"|"camera"} device */
  async #openOne(device) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        device === "camera" ? { video: this.#video() } : { audio: AUDIO },
      );
      return stream.getTracks()[0] ?? null;
    } catch (error) {
      this.problems.push(sentence(device, error));
      if (device === "camera") this.cameraOn = false;
      else this.microphoneOn = false;
      return null;
    }
  }

  #video() {
    const { width, height, frameRate } = this.#size;
    return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate, max: Math.max(frameRate, 1) } };
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    if (on && !this.microphone) this.microphone = await this.#again("microphone");
    this.microphoneOn = on && this.microphone !== null;
    if (this.microphone) this.microphone.enabled = this.microphoneOn;
    this.emit("changed", undefined);
  }

  /**
   * Off gives the device back, so that its light goes out.
   * @param {boolean} on
   */
  async setCamera(on) {
    if (!on) {
      this.camera?.stop();
      this.camera = null;
    } else if (!this.camera) {
      this.camera = await this.#again("camera");
    }
    this.cameraOn = on && this.camera !== null;
    this.emit("changed", undefined);
  }

  /** @param {"microphone"|"camera"} device */
  async #again(device) {
    this.problems = [];
    if (!navigator.mediaDevices) return null;
    this.starting = device === "camera";
    this.emit("changed", undefined);
    const track = await this.#openOne(device);
    this.starting = false;
    return track;
  }

  /** Gives both devices back. */
  close() {
    this.camera?.stop();
    this.microphone?.stop();
    this.camera = this.microphone = null;
  }
}

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * @param {"microphone"|"camera"} device
 * @param {unknown} error
 */
function sentence(device, error) {
  const name = error instanceof DOMException ? error.name : "";
  const camera = device === "camera";
  if (name === "NotAllowedError") return say(camera ? "cameraBlocked" : "microphoneBlocked");
  if (name === "NotReadableError") return say(camera ? "cameraBusy" : "microphoneBusy");
  return say(camera ? "noCamera" : "noMicrophone");
}

/**
 * Follows how loud a microphone is, as 0 to 5 bars. The answer stops it.
 * @param {MediaStreamTrack} track
 * @param {(bars: number) => void} show
 * @returns {() => void}
 */
export function followLevel(track, show) {
  const audio = new AudioContext();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 1024;
  audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let running = true;
  const step = () => {
    if (!running) return;
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
    const decibels = 10 * Math.log10(power + 1e-9);
    // -60 dB shows nothing, speech at about -20 dB fills four of five bars.
    show(Math.max(0, Math.min(5, Math.round((decibels + 60) / 10))));
    requestAnimationFrame(step);
  };
  step();
  return () => {
    running = false;
    void audio.close();
  };
}
