// One's own camera and microphone: asked for once, chosen, followed while they come and go, kept
// across lobby, meeting and rejoin. And the speaker that others are heard by.

import { Emitter } from "../plenum/emitter.js";
import { say } from "../strings.js";
import { Hearing } from "./hearing.js";
import { prefer, preference } from "./preferences.js";

/** @typedef {{width: number, height: number, frameRate: number}} VideoSize */
/** @typedef {"microphone"|"camera"} Input */
/** @typedef {Input|"speaker"} Kind */
/** What is wrong with a device, as a sentence for the reader.
 * @typedef {{device: Input|"both", text: string}} Problem */
/** @typedef {{kind: Kind, id: string, label: string}} Device */

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** @type {{[kind: string]: Kind}} */
const KINDS = { audioinput: "microphone", videoinput: "camera", audiooutput: "speaker" };

/**
 * - `changed`: anything of what is below
 * - `switched`: another device took the place of one that is gone
 * - `offered`: a device was plugged in
 * - `level`: of the microphone, 0 to 5 bars
 * - `dead`: whether the microphone that is on gives exactly nothing
 * - `speech`: somebody began to speak
 * @extends {Emitter<{
 *   changed: void, switched: Device, offered: Device, level: number, dead: boolean, speech: void
 * }>}
 */
export class Devices extends Emitter {
  /** @type {MediaStreamTrack|null} */
  microphone = null;
  /** @type {MediaStreamTrack|null} */
  camera = null;
  microphoneOn = true;
  cameraOn = true;
  /** @type {Problem[]} */
  problems = [];
  /** True while the browser asks or the camera starts. */
  starting = false;
  /** What can be chosen. Without permission their labels are empty.
   * @type {Device[]} */
  all = [];
  #size;
  /** @type {Hearing|null} */
  #hearing = null;
  /** @type {"user"|"environment"|null} */
  #facing = null;
  #onChange = () => void this.#changed();

  /** @param {VideoSize} size wished of the camera */
  constructor(size) {
    super();
    this.#size = size;
    navigator.mediaDevices?.addEventListener("devicechange", this.#onChange);
  }

  /** A camera that looks at its user is shown as a mirror would; the one on the back is not. */
  get isMirrored() {
    return this.camera?.getSettings().facingMode !== "environment";
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
      this.problems = [insecure()];
      this.microphoneOn = this.cameraOn = false;
      this.emit("changed", undefined);
      return;
    }
    this.starting = camera;
    this.emit("changed", undefined);
    if (!(microphone && camera && (await this.#openBoth()))) {
      // One of the two may be fine: each is asked for by itself and says what ails it.
      if (microphone) this.#put("microphone", await this.#openOne("microphone"));
      if (camera) this.#put("camera", await this.#openOne("camera"));
    }
    this.starting = false;
    await this.#enumerate();
    this.emit("changed", undefined);
  }

  async #openBoth() {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: this.#audio(), video: this.#video() });
      this.#put("microphone", stream.getAudioTracks()[0] ?? null);
      this.#put("camera", stream.getVideoTracks()[0] ?? null);
      return true;
    } catch {
      return false;
    }
  }

  /** @param {Input} device */
  async #openOne(device) {
    this.problems = this.problems.filter((problem) => problem.device !== device);
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        device === "camera" ? { video: this.#video() } : { audio: this.#audio() },
      );
      return stream.getTracks()[0] ?? null;
    } catch (error) {
      this.problems.push({ device, text: sentence(device, error) });
      if (device === "camera") this.cameraOn = false;
      else this.microphoneOn = false;
      return null;
    }
  }

  #audio() {
    const id = preference("microphone");
    return { ...AUDIO, ...(id ? { deviceId: { ideal: id } } : {}) };
  }

  #video() {
    const { width, height, frameRate } = this.#size;
    const id = preference("camera");
    const which = this.#facing ? { facingMode: { ideal: this.#facing } } : id ? { deviceId: { ideal: id } } : {};
    return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate, max: Math.max(frameRate, 1) }, ...which };
  }

  /**
   * @param {Input} device
   * @param {MediaStreamTrack|null} track
   */
  #put(device, track) {
    const old = this[device];
    if (old && old !== track) old.stop();
    this[device] = track;
    // Fires where the device went, not where we gave it back.
    track?.addEventListener("ended", () => void this.#gone(device, track));
    if (device === "microphone") {
      this.#listen(track);
      if (track) track.enabled = this.microphoneOn;
    }
  }

  /** @param {MediaStreamTrack|null} track */
  #listen(track) {
    this.#hearing?.close();
    this.#hearing = null;
    this.emit("level", 0);
    if (!track || typeof AudioContext === "undefined") return;
    this.#hearing = new Hearing(track);
    this.#hearing.on("level", (bars) => this.emit("level", this.microphoneOn ? bars : 0));
    this.#hearing.on("dead", (isDead) => this.emit("dead", isDead && this.microphoneOn));
    this.#hearing.on("speech", () => this.emit("speech", undefined));
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    if (on && !this.microphone) {
      const track = await this.#again("microphone");
      this.microphoneOn = track !== null;
      this.#put("microphone", track);
    }
    this.microphoneOn = on && this.microphone !== null;
    if (this.microphone) this.microphone.enabled = this.microphoneOn;
    this.emit("changed", undefined);
  }

  /**
   * Off gives the device back, so that its light goes out.
   * @param {boolean} on
   */
  async setCamera(on) {
    if (!on) this.#put("camera", null);
    else if (!this.camera) this.#put("camera", await this.#again("camera"));
    this.cameraOn = on && this.camera !== null;
    this.emit("changed", undefined);
  }

  /**
   * Tries once more what failed.
   * @param {Problem} problem
   */
  async retry({ device }) {
    if (device === "both") await this.open();
    else if (device === "camera") await this.setCamera(true);
    else await this.setMicrophone(true);
  }

  /** @param {Input} device */
  async #again(device) {
    if (!navigator.mediaDevices) {
      this.problems = [insecure()];
      return null;
    }
    this.starting = device === "camera";
    this.emit("changed", undefined);
    const track = await this.#openOne(device);
    this.starting = false;
    await this.#enumerate();
    return track;
  }

  /**
   * Chooses a device, for now and for later meetings.
   * @param {Kind} kind
   * @param {string} id
   */
  async choose(kind, id) {
    prefer(kind, id);
    if (kind === "camera") this.#facing = null;
    if (kind === "speaker") {
      for (const sound of document.querySelectorAll("audio")) this.route(sound);
    } else if (this[kind]) {
      await this.#reopen(kind);
    }
    this.emit("changed", undefined);
  }

  /** Another camera: on a phone the one on the other side. */
  async flip() {
    const cameras = this.all.filter(({ kind }) => kind === "camera");
    const settings = this.camera?.getSettings();
    if (settings?.facingMode) {
      this.#facing = settings.facingMode === "environment" ? "user" : "environment";
      await this.#reopen("camera");
    } else {
      const at = cameras.findIndex(({ id }) => id === settings?.deviceId);
      const next = cameras[(at + 1) % Math.max(1, cameras.length)];
      if (next) await this.choose("camera", next.id);
    }
    this.emit("changed", undefined);
  }

  /** @param {Input} device */
  async #reopen(device) {
    // A phone opens its second camera only once the first is given back.
    if (device === "camera") this.camera?.stop();
    const track = await this.#again(device);
    this.#put(device, track);
  }

  /** The id in use, or the one that would be. @param {Kind} kind */
  chosen(kind) {
    const used = kind === "speaker" ? undefined : this[kind]?.getSettings().deviceId;
    return used ?? preference(kind);
  }

  /**
   * Plays an element by the chosen speaker.
   * @param {HTMLMediaElement} element
   */
  route(element) {
    const id = preference("speaker");
    if (!("setSinkId" in element) || element.sinkId === id) return;
    // The speaker may be gone by now: then the browser's own choice stays.
    element.setSinkId(id).catch(() => {});
  }

  /**
   * A device that was in use is gone: the next one takes its place.
   * @param {Input} device
   * @param {MediaStreamTrack} track
   */
  async #gone(device, track) {
    if (this[device] !== track) return;
    const wasOn = device === "camera" ? this.cameraOn : this.microphoneOn;
    const next = await this.#again(device);
    if (device === "microphone") this.microphoneOn = wasOn && next !== null;
    else this.cameraOn = wasOn && next !== null;
    this.#put(device, next);
    this.emit("changed", undefined);
    if (next) this.emit("switched", { kind: device, id: next.getSettings().deviceId ?? "", label: next.label });
  }

  async #enumerate() {
    const found = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
    this.all = found.flatMap(({ kind, deviceId, label }) => {
      const ours = KINDS[kind];
      return ours && deviceId !== "" && deviceId !== "communications" ? [{ kind: ours, id: deviceId, label }] : [];
    });
  }

  async #changed() {
    const known = new Set(this.all.map(({ kind, id }) => `${kind} ${id}`));
    const hadAny = this.all.length > 0;
    await this.#enumerate();
    this.emit("changed", undefined);
    const fresh = this.all.filter(({ kind, id, label }) => !known.has(`${kind} ${id}`) && label !== "" && id !== "default");
    // One thing with a microphone and a speaker is offered once, by its microphone.
    const first = fresh.find(({ kind }) => kind !== "speaker") ?? fresh[0];
    if (hadAny && first) this.emit("offered", first);
  }

  /** Gives both devices back. */
  close() {
    this.#put("camera", null);
    this.#put("microphone", null);
  }
}

/** @returns {Problem} */
function insecure() {
  return { device: "both", text: say("needHttps", `https://${location.host}${location.pathname}`) };
}

/**
 * @param {Input} device
 * @param {unknown} error
 */
function sentence(device, error) {
  const name = error instanceof DOMException ? error.name : "";
  const camera = device === "camera";
  if (name === "NotAllowedError") return say(camera ? "cameraBlocked" : "microphoneBlocked");
  if (name === "NotReadableError") return say(camera ? "cameraBusy" : "microphoneBusy");
  return say(camera ? "noCamera" : "noMicrophone");
}
