// One tile: a picture or initials, a name, mute, hand and bars, a ring while speaking, a menu.

import { say } from "../strings.js";
import { icon, make } from "./dom.js";

/** @import {Box} from "./grid.js" */
/** @import {Bars} from "./quality.js" */

/** Cover-fit may cut a quarter of a picture (4:3 in 16:9, to the pixel); beyond, it is shown whole. */
const CROP_MAX = 0.255;
/** On an upright phone tiles are upright too, and a face in the middle is what matters. */
const CROP_MAX_UPRIGHT = 0.65;
/** Of a picture that has not come yet. */
const USUAL_RATIO = 16 / 9;
/** How long somebody speaks before the ring shows, and is silent before it goes. */
const RING_ON_MS = 200;
const RING_OFF_MS = 500;

/**
 * @typedef {{
 *   name: string, initialsOf: string, video: MediaStreamTrack|null, muted: boolean, note: string,
 *   mirrored: boolean, contain: boolean, label: string, hand?: boolean, bars?: Bars|undefined,
 *   isWeak?: boolean
 * }} TileContent
 */

/** @typedef {{menu: (button: HTMLElement) => void, pin: () => void, statistics: () => void}} TileActions */

export class Tile {
  element;
  video = make("video", { autoplay: true, muted: true, playsInline: true });
  /** The height it is shown at, in CSS pixels; 0 while it is not. */
  height = 0;
  /** Ends a closer look. */
  unzoom = () => {};
  #initials = make("div", { class: "initials", "aria-hidden": "true" });
  #muted = make("span", { class: "tile-muted" }, icon("micOff"));
  #name = make("span", { class: "tile-name" });
  #note = make("p", { class: "tile-note" });
  #weak = make("p", { class: "tile-weak", hidden: true }, say("weakConnection"));
  #hand = make("span", { class: "tile-hand", hidden: true, role: "img", "aria-label": say("handIsUp") }, icon("hand"));
  #bars = make("button", { type: "button", class: "tile-bars", hidden: true }, make("i"), make("i"), make("i"));
  #menu;
  #box = { x: 0, y: 0, width: 0, height: 0 };
  #contain = false;
  #speaking = false;
  #ringTimer = 0;

  /**
   * @param {string} key decides the hue behind the initials
   * @param {TileActions} actions
   */
  constructor(key, { menu, pin, statistics }) {
    this.#menu = make(
      "button",
      { type: "button", class: "icon-button tile-menu", "aria-haspopup": "menu", "aria-expanded": "false" },
      icon("more"),
    );
    this.#menu.onclick = () => menu(this.#menu);
    this.#bars.onclick = statistics;
    this.element = make(
      "div",
      { class: "tile", role: "group", "data-hue": String(hueOf(key)), ondblclick: pin },
      this.#initials,
      this.video,
      this.#weak,
      this.#note,
      make("div", { class: "tile-bar" }, this.#muted, this.#name, this.#bars),
      this.#hand,
      this.#menu,
    );
    this.video.addEventListener("resize", () => this.#fit());
  }

  /** @param {TileContent} content */
  show({ name, initialsOf, video, muted, note, mirrored, contain, label, hand = false, bars, isWeak = false }) {
    this.element.setAttribute("aria-label", label);
    this.#menu.setAttribute("aria-label", say("tileMenu", name));
    this.#name.textContent = name;
    this.#initials.textContent = initials(initialsOf);
    this.#note.textContent = note;
    this.#muted.hidden = !muted;
    this.#hand.hidden = !hand;
    this.#weak.hidden = !isWeak;
    this.element.classList.toggle("weak", isWeak);
    this.#showBars(bars, name);
    this.element.classList.toggle("has-video", video !== null);
    this.video.classList.toggle("mirrored", mirrored);
    this.#contain = contain;
    const stream = /** @type {MediaStream|null} */ (this.video.srcObject);
    const current = stream?.getVideoTracks()[0] ?? null;
    if (current !== video) {
      this.video.srcObject = video ? new MediaStream([video]) : null;
      if (video) void this.video.play().catch(() => {});
    }
    this.#fit();
  }

  /**
   * @param {Bars|undefined} bars
   * @param {string} name
   */
  #showBars(bars, name) {
    this.#bars.hidden = bars === undefined;
    if (bars === undefined) return;
    this.#bars.dataset.bars = String(bars);
    const label = say("barsOf", name, bars);
    this.#bars.setAttribute("aria-label", label);
    this.#bars.title = label;
  }

  /** @param {Box|undefined} box none: it is on another page */
  place(box) {
    this.element.hidden = box === undefined;
    this.height = box?.height ?? 0;
    if (!box) return;
    this.#box = box;
    const { style } = this.element;
    style.transform = `translate(${box.x}px, ${box.y}px)`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
    this.element.classList.toggle("small", box.height < 120 || box.width < 180);
    this.#fit();
  }

  /**
   * Lines of the picture as it is shown, in CSS pixels, of its shorter side as senders count them; 0
   * while it is not. A picture that covers a wide tile is higher than the tile.
   */
  get lines() {
    if (this.height === 0) return 0;
    const { videoWidth, videoHeight } = this.video;
    const ratio = videoWidth && videoHeight ? videoWidth / videoHeight : USUAL_RATIO;
    const byWidth = this.#box.width / ratio;
    const isWhole = this.#contain || this.video.classList.contains("contain");
    const height = isWhole ? Math.min(this.height, byWidth) : Math.max(this.height, byWidth);
    return height * Math.min(1, ratio);
  }

  #fit() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth || !this.#box.width) return;
    const ratio = videoWidth / videoHeight / (this.#box.width / this.#box.height);
    const cut = 1 - Math.min(ratio, 1 / ratio);
    const most = this.#box.height > this.#box.width ? CROP_MAX_UPRIGHT : CROP_MAX;
    this.video.classList.toggle("contain", this.#contain || cut > most);
  }

  /** @param {boolean} speaking */
  setSpeaking(speaking) {
    if (speaking === this.#speaking) return;
    this.#speaking = speaking;
    clearTimeout(this.#ringTimer);
    this.#ringTimer = setTimeout(
      () => this.element.classList.toggle("speaking", speaking),
      speaking ? RING_ON_MS : RING_OFF_MS,
    );
  }

  /** Lets go of the picture. */
  remove() {
    clearTimeout(this.#ringTimer);
    this.video.srcObject = null;
    this.element.remove();
  }
}

/** @param {string} name */
function initials(name) {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? "")][0] ?? "?";
  const last = words.length > 1 ? ([...(words.at(-1) ?? "")][0] ?? "") : "";
  return (first + last).toUpperCase();
}

/**
 * One of 8 hues, the same for a person on every page.
 * @param {string} key
 */
function hueOf(key) {
  let sum = 0;
  for (const character of key) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % 8;
}
