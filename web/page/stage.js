// The tiles of a meeting and where they go. Redrawn from the roster whenever it changes; a tile
// stays the same element for as long as its person is there.

import { say } from "../strings.js";
import { copyText, icon, make } from "./dom.js";
import { focus, GAP, grid, pair } from "./grid.js";
import { Tile } from "./tile.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Devices} from "./devices.js" */
/** @import {TileContent} from "./tile.js" */
/** @import {Participant} from "../plenum/roster.js" */

/** Louder than this (dB below full scale) counts as speaking. */
const SPEAKING_LEVEL_MAX = 50;
/** Keys of one's own tiles: no participant id has a slash. */
const SELF = "/self";
const OWN_SCREEN = "/self/screen";

export class Stage {
  element = make("section", { class: "stage", "aria-label": say("stage") });
  #connection;
  #devices;
  #displayName;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {Map<string, HTMLAudioElement>} */
  #sounds = new Map();
  #empty;
  #unblock = make("button", { class: "primary unblock", hidden: true }, icon("sound"), say("clickToHear"));
  #observer = new ResizeObserver(() => this.#place());
  /** @type {string[]} */
  #order = [];
  /** @type {string|null} */
  #presented = null;
  /** @type {MediaStreamTrack|null} */
  ownScreen = null;

  /**
   * @param {Connection} connection
   * @param {Devices} devices
   * @param {string} displayName
   * @param {() => void} stopSharing
   */
  constructor(connection, devices, displayName, stopSharing) {
    this.#connection = connection;
    this.#devices = devices;
    this.#displayName = displayName;
    this.#empty = emptyCard();
    this.stopButton = make("button", { class: "danger", type: "button", onclick: stopSharing }, say("stop"));
    this.#unblock.addEventListener("click", () => {
      this.#unblock.hidden = true;
      for (const sound of this.#sounds.values()) void sound.play().catch(() => {});
    });
    this.element.append(this.#empty, this.#unblock);
    this.#observer.observe(this.element);
  }

  /** Brings tiles and sounds in line with the roster. */
  draw() {
    const others = [...this.#connection.roster.participants.values()];
    /** @type {Map<string, TileContent>} */
    const wanted = new Map();
    this.#presented = null;
    /** @type {Set<string>} */
    const heard = new Set();
    for (const participant of others) this.#drawOther(participant, wanted, heard);
    wanted.set(SELF, this.#ownContent());
    if (this.ownScreen) {
      wanted.set(OWN_SCREEN, screenContent(say("youPresent"), null));
      this.#presented ??= OWN_SCREEN;
    }
    this.#order = [...wanted.keys()];
    for (const [key, tile] of this.#tiles) {
      if (wanted.has(key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    for (const [key, sound] of this.#sounds) {
      if (heard.has(key)) continue;
      sound.srcObject = null;
      sound.remove();
      this.#sounds.delete(key);
    }
    for (const [key, content] of wanted) this.#tile(key).show(content);
    this.#empty.hidden = others.length > 0 || this.ownScreen !== null;
    this.#place();
  }

  /**
   * @param {Participant} participant
   * @param {Map<string, TileContent>} wanted
   * @param {Set<string>} heard
   */
  #drawOther({ participant, displayName, tracks }, wanted, heard) {
    /** @type {MediaStreamTrack|null} */
    let picture = null;
    let silent = true;
    let note = "";
    for (const { track, kind, source, muted, codec } of tracks.values()) {
      const media = this.#connection.media(track);
      if (kind === "audio") {
        if (media) this.#hear(track, media);
        heard.add(track);
        if (source !== "SCREEN_AUDIO") silent = muted;
        continue;
      }
      const why = this.#connection.roster.paused.get(track) === "CODEC_UNSUPPORTED" ? say("cannotDecode", codec) : "";
      if (source === "SCREEN") {
        const key = `${participant}/screen`;
        wanted.set(key, { ...screenContent(say("presenting", displayName), media), note: why });
        this.#presented ??= key;
      } else {
        picture = muted ? null : media;
        note = why;
      }
    }
    const label = silent ? say("muted", displayName) : displayName;
    wanted.set(participant, { name: displayName, initialsOf: displayName, video: picture, muted: silent, note, mirrored: false, contain: false, label });
  }

  /** @returns {TileContent} */
  #ownContent() {
    const { camera, cameraOn, microphoneOn } = this.#devices;
    const name = say("you", this.#displayName);
    return {
      name,
      initialsOf: this.#displayName,
      video: cameraOn ? camera : null,
      muted: !microphoneOn,
      note: "",
      mirrored: this.#devices.isMirrored,
      contain: false,
      label: microphoneOn ? name : say("muted", name),
    };
  }

  /**
   * @param {string} key
   * @param {MediaStreamTrack} media
   */
  #hear(key, media) {
    let sound = this.#sounds.get(key);
    if (!sound) {
      sound = make("audio", { autoplay: true, "data-track": key });
      this.#sounds.set(key, sound);
      this.#devices.route(sound);
      this.element.append(sound);
    }
    const current = /** @type {MediaStream|null} */ (sound.srcObject)?.getAudioTracks()[0];
    if (current === media) return;
    sound.srcObject = new MediaStream([media]);
    sound.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#unblock.hidden = false;
    });
  }

  /** @param {string} key */
  #tile(key) {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = new Tile(key);
      tile.element.dataset.tile = key;
      if (key === OWN_SCREEN) {
        tile.element.classList.add("own-screen");
        tile.element.append(this.stopButton);
      }
      this.#tiles.set(key, tile);
      this.element.append(tile.element);
    }
    return tile;
  }

  #place() {
    const width = this.element.clientWidth - 2 * GAP;
    const height = this.element.clientHeight - 2 * GAP;
    if (width <= 0 || height <= 0) return;
    const keys = this.#order.filter((key) => key !== this.#presented);
    const others = keys.length - 1;
    this.element.classList.toggle("pair", !this.#presented && others === 1);
    if (this.#presented) {
      this.#assign([this.#presented, ...keys], focus(keys.length + 1, width, height));
    } else if (others === 1) {
      this.#assign(keys, pair(width, height));
    } else if (others === 0) {
      const boxes = focusWithCard(width, height);
      this.#assign(keys, boxes.slice(0, 1));
      move(this.#empty, boxes[1]);
    } else {
      this.#assign(keys, grid(keys.length, width, height));
    }
  }

  /**
   * @param {string[]} keys
   * @param {import("./grid.js").Box[]} boxes
   */
  #assign(keys, boxes) {
    keys.forEach((key, index) => {
      const box = boxes[index];
      if (box) this.#tiles.get(key)?.place({ ...box, x: box.x + GAP, y: box.y + GAP });
    });
  }

  /** Puts the ring on those who speak. */
  drawSpeakers() {
    const loud = new Set(
      this.#connection.speakers.filter(({ level }) => level <= SPEAKING_LEVEL_MAX).map(({ participant }) => participant),
    );
    const self = this.#connection.self;
    for (const [key, tile] of this.#tiles) {
      tile.setSpeaking(key === SELF ? this.#devices.microphoneOn && loud.has(self) : loud.has(key));
    }
  }

  /** Lets go of everything. */
  close() {
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.remove();
    for (const sound of this.#sounds.values()) sound.srcObject = null;
  }
}

/**
 * @param {string} name
 * @param {MediaStreamTrack|null} video
 * @returns {TileContent}
 */
function screenContent(name, video) {
  return { name, initialsOf: "", video, muted: false, note: "", mirrored: false, contain: true, label: name };
}

/**
 * Alone: oneself large, beside it (below on a phone) the card that says how to invite.
 * @param {number} width
 * @param {number} height
 */
function focusWithCard(width, height) {
  const upright = width < 720;
  const card = upright ? 220 : Math.min(360, width * 0.36);
  const own = upright ? { x: 0, y: 0, width, height: height - card - GAP } : { x: 0, y: 0, width: width - card - GAP, height };
  const rest = upright
    ? { x: 0, y: height - card, width, height: card }
    : { x: width - card, y: 0, width: card, height };
  return [own, rest];
}

/**
 * @param {HTMLElement} element
 * @param {import("./grid.js").Box|undefined} box
 */
function move(element, box) {
  if (!box) return;
  element.style.transform = `translate(${box.x + GAP}px, ${box.y + GAP}px)`;
  element.style.width = `${box.width}px`;
  element.style.height = `${box.height}px`;
}

function emptyCard() {
  const link = `${location.origin}${location.pathname}`;
  const label = make("span", {}, say("copy"));
  const words = { copy: say("copy"), copied: say("copied") };
  return make(
    "div",
    { class: "empty", hidden: true },
    make("h2", {}, say("onlyOne")),
    make("p", { class: "dim" }, say("shareLink")),
    make("output", { class: "link" }, link),
    make("button", { type: "button", class: "primary", onclick: () => void copyText(label, link, words) }, icon("copy"), label),
  );
}
