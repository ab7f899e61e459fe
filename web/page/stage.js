// The tiles of a meeting and where they go. Redrawn from the roster whenever it changes; a tile
// stays the same element for as long as its person is there.

import { say } from "../strings.js";
import { arrange, pageSize, STRIP } from "./arrange.js";
import { make } from "./dom.js";
import { EmptyCard } from "./empty_card.js";
import { GAP } from "./grid.js";
import { handOf } from "./hand.js";
import { Pager } from "./pager.js";
import { PageTurner } from "./page_turner.js";
import { Quality, barsShown } from "./quality.js";
import { OwnView } from "./own_view.js";
import { Sounds } from "./sounds.js";
import { SpeakerChoice } from "./speaker_choice.js";
import { starved } from "./given.js";
import { Tile } from "./tile.js";
import { Wants } from "./wants.js";
import { zoomable } from "./zoom.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Participant} from "../plenum/roster.js" */
/** @import {Devices} from "./devices.js" */
/** @import {TileContent} from "./tile.js" */

/** Louder than this (dB below full scale) counts as speaking. */
const SPEAKING_LEVEL_MAX = 50;
/** Keys of one's own tiles: no participant id has a slash. */
const SELF = "/self";
const OWN_SCREEN = "/self/screen";
/** What the page buttons take below the tiles. */
const TURNER = 48;

/**
 * @typedef {{
 *   connection: Connection, devices: Devices, displayName: string, stopSharing: () => void,
 *   invite: () => Promise<string>, menu: (key: string, button: HTMLElement) => void,
 *   statistics: () => void
 * }} StageOptions
 */

export class Stage {
  element = make("section", { class: "stage", "aria-label": say("stage") });
  /** Our own shared screen. @type {MediaStreamTrack|null} */
  ownScreen = null;
  /** Called where something changed that others draw. */
  onchange = () => {};
  #options;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** The video track behind a tile of somebody else. @type {Map<string, string>} */
  #tracks = new Map();
  #pager = new Pager();
  #turner;
  #sounds;
  #quality;
  #wants;
  #empty;
  #ownView;
  #speaker = new SpeakerChoice(() => this.#place());
  #observer = new ResizeObserver(() => this.#place());
  /** Shared screens, the first is shown large. @type {string[]} */
  #screens = [];
  /** @type {"grid"|"speaker"} */
  #view = "grid";
  /** @type {string|null} */
  #pinned = null;
  #isSelfHidden = false;

  /** @param {StageOptions} options */
  constructor(options) {
    const { connection, devices, stopSharing, invite } = options;
    this.#options = options;
    this.#sounds = new Sounds(devices);
    this.#quality = new Quality(connection, () => this.draw());
    this.#wants = new Wants(connection);
    this.#empty = new EmptyCard(invite);
    this.#turner = new PageTurner((step) => this.turn(step));
    this.#ownView = new OwnView(this.element, () => this.#place());
    this.stopButton = make("button", { class: "danger", type: "button", onclick: stopSharing }, say("stop"));
    this.element.append(this.#sounds.element, this.#empty.element, this.#turner.element);
    this.#observer.observe(this.element);
  }

  get view() {
    return this.#view;
  }

  set view(view) {
    this.#view = view;
    this.#place();
    this.onchange();
  }

  get isSelfHidden() {
    return this.#isSelfHidden;
  }

  set isSelfHidden(isHidden) {
    this.#isSelfHidden = isHidden;
    this.draw();
  }

  get pinned() {
    return this.#pinned;
  }

  /** Shows a tile large whoever speaks; the same again, or null: as before. @param {string|null} key */
  pin(key) {
    this.#pinned = key === this.#pinned ? null : key;
    this.#place();
    this.onchange();
  }

  /** Pins by number: 1 is the first tile of the page, 0 none. @param {number} number */
  pinNumber(number) {
    if (number === 0) this.#pinned = null;
    else this.#pinned = this.#onPage()[number - 1] ?? this.#pinned;
    this.#place();
    this.onchange();
  }

  /** @param {-1|1} step */
  turn(step) {
    this.#pager.page += step;
    this.#place();
  }

  /** The element of a tile, for full screen. @param {string} key */
  elementOf(key) {
    return this.#tiles.get(key)?.element ?? null;
  }

  /** Whether somebody else presents, and who. */
  get presenter() {
    const key = this.#screens.find((each) => each !== OWN_SCREEN);
    const id = key?.replace(/\/screen$/, "");
    return id === undefined ? null : (this.#options.connection.roster.participants.get(id) ?? null);
  }

  /** Brings tiles and sounds in line with the roster. */
  draw() {
    const others = [...this.#options.connection.roster.participants.values()];
    /** @type {Map<string, TileContent>} */
    const wanted = new Map();
    /** @type {Map<string, MediaStreamTrack|null>} */
    const heard = new Map();
    this.#tracks.clear();
    this.#screens = [];
    for (const participant of others) this.#drawOther(participant, wanted, heard);
    if (!this.#isSelfHidden || others.length === 0) wanted.set(SELF, this.#ownContent());
    if (this.ownScreen) {
      wanted.set(OWN_SCREEN, screenContent(say("youPresent"), null));
      this.#screens.push(OWN_SCREEN);
    }
    for (const [key, tile] of this.#tiles) {
      if (wanted.has(key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    if (this.#pinned !== null && !wanted.has(this.#pinned)) this.#pinned = null;
    this.#pager.update(others.map(({ participant }) => participant));
    this.#sounds.show(heard);
    for (const [key, content] of wanted) this.#tile(key).show(content);
    this.#place();
  }

  /** Brings what a paused picture needs, and what there is, up to date. */
  drawStarved() {
    if ([...this.#options.connection.roster.paused.values()].includes("BANDWIDTH")) this.draw();
  }

  /**
   * @param {Participant} participant
   * @param {Map<string, TileContent>} wanted
   * @param {Map<string, MediaStreamTrack|null>} heard
   */
  #drawOther(participant, wanted, heard) {
    const { connection } = this.#options;
    const { participant: id, displayName, tracks, state, quality } = participant;
    /** @type {MediaStreamTrack|null} */
    let picture = null;
    let silent = true;
    let note = "";
    for (const { track, kind, source, muted, codec } of tracks.values()) {
      const media = connection.media(track);
      if (kind === "audio") {
        heard.set(track, media);
        if (source !== "SCREEN_AUDIO") silent = muted;
        continue;
      }
      const { paused, layers } = connection.roster;
      const isStarved = paused.get(track) === "BANDWIDTH";
      const why = paused.get(track) === "CODEC_UNSUPPORTED" ? say("cannotDecode", codec) : isStarved ? starved(layers.get(track)) : "";
      const key = source === "SCREEN" ? `${id}/screen` : id;
      if (!muted) this.#tracks.set(key, track);
      if (source === "SCREEN") {
        // Nothing rather than a picture that stands still.
        wanted.set(key, { ...screenContent(say("presenting", displayName), isStarved ? null : media), note: why });
        this.#screens.push(key);
      } else {
        picture = muted || isStarved ? null : media;
        note = why;
      }
    }
    const bars = barsShown(quality, this.#quality.bars.get(id), connection.roster.own?.quality ?? "GOOD");
    wanted.set(id, {
      name: displayName,
      initialsOf: displayName,
      video: picture,
      muted: silent,
      note,
      mirrored: false,
      contain: false,
      label: silent ? say("muted", displayName) : displayName,
      hand: handOf(participant) !== "",
      bars,
      isWeak: state === "RESUMING" || bars === 1,
    });
  }

  /** @returns {TileContent} */
  #ownContent() {
    const { connection, devices, displayName } = this.#options;
    const { camera, cameraOn, microphoneOn } = devices;
    const name = say("you", displayName);
    // Our own is shown where it is not good, as the others see it.
    const own = connection.roster.own?.quality ?? "GOOD";
    const bars = connection.state === "in" ? barsShown(own, undefined, own) : undefined;
    return {
      name,
      initialsOf: displayName,
      video: cameraOn ? camera : null,
      muted: !microphoneOn,
      note: "",
      mirrored: devices.isMirrored,
      contain: false,
      label: microphoneOn ? name : say("muted", name),
      hand: handOf(connection.roster.own) !== "",
      bars,
    };
  }

  /** @param {string} key */
  #tile(key) {
    let tile = this.#tiles.get(key);
    if (!tile) {
      const { menu, statistics } = this.#options;
      tile = new Tile(key, { menu: (button) => menu(key, button), pin: () => this.pin(key), statistics });
      tile.element.dataset.tile = key;
      if (key === OWN_SCREEN) {
        tile.element.classList.add("own-screen");
        tile.element.append(this.stopButton);
      }
      if (key.endsWith("/screen") && key !== OWN_SCREEN) tile.unzoom = zoomable(tile.element, tile.video, () => key === this.#main());
      if (key === SELF) this.#ownView.follow(tile.element);
      this.#tiles.set(key, tile);
      this.element.append(tile.element);
    }
    return tile;
  }

  /** What is shown large, if anything is: pinned, presented, or speaking. */
  #main() {
    if (this.#pinned !== null) return this.#pinned;
    if (this.#screens[0] !== undefined) return this.#screens[0];
    if (this.#view !== "speaker" || this.#pager.order.length === 0) return null;
    const { speaker } = this.#speaker;
    return speaker !== null && this.#tiles.has(speaker) ? speaker : (this.#pager.order[0] ?? null);
  }

  #size() {
    const most = pageSize(window.innerWidth, window.innerHeight);
    return this.#main() === null ? most - (this.#isSelfHidden ? 0 : 1) : STRIP - (this.#isSelfHidden ? 0 : 1);
  }

  #onPage() {
    return this.#pager.visible(this.#size());
  }

  #place() {
    const width = this.element.clientWidth - 2 * GAP;
    const main = this.#main();
    const pages = this.#pager.pages(this.#size());
    // Beside a large tile the strip is at the right and the buttons lie on the large one; under it,
    // they would lie on the strip.
    const { clientHeight } = this.element;
    const hasTurner = pages > 1 && (main === null || clientHeight > width);
    const height = clientHeight - 2 * GAP - (hasTurner ? TURNER : 0);
    if (width <= 0 || height <= 0) return;
    // Further shares stand in the strip, before the people.
    const screens = this.#screens.filter((key) => key !== main);
    const others = [...screens, ...this.#onPage()].filter((key) => key !== main);
    const self = this.#tiles.has(SELF) && main !== SELF ? SELF : null;
    const { boxes, card, isPair } = arrange({ others, self, main, corner: this.#ownView.corner, width, height });
    for (const [key, tile] of this.#tiles) {
      const box = boxes.get(key);
      tile.place(box && { ...box, x: box.x + GAP, y: box.y + GAP });
      if (key !== main) tile.unzoom();
      tile.element.classList.toggle("pinned", key === this.#pinned);
    }
    this.#ownView.isLoose = isPair;
    this.element.classList.toggle("pair", isPair);
    this.#empty.place(card && { ...card, x: card.x + GAP, y: card.y + GAP });
    this.#turner.show(this.#pager.page, pages);
    this.#tellWants();
  }

  #tellWants() {
    /** @type {Map<string, number>} */
    const shown = new Map();
    for (const [key, track] of this.#tracks) {
      const lines = this.#tiles.get(key)?.lines ?? 0;
      if (lines > 0) shown.set(track, lines);
    }
    this.#wants.show(this.#tracks.values(), shown);
  }

  /** Puts the ring on those who speak, and brings who is off the page onto it. */
  drawSpeakers() {
    const { connection, devices } = this.#options;
    const loud = connection.speakers.filter(({ level }) => level <= SPEAKING_LEVEL_MAX).map(({ participant }) => participant);
    const self = connection.self;
    for (const [key, tile] of this.#tiles) {
      tile.setSpeaking(key === SELF ? devices.microphoneOn && loud.includes(self) : loud.includes(key));
    }
    const heard = loud.filter((id) => id !== self);
    this.#speaker.hear(heard[0] ?? null);
    const now = performance.now();
    // The quietest first, so that the loudest has the last word about the places.
    const moved = heard.reverse().filter((id) => this.#pager.heard(id, now, this.#size()));
    if (moved.length > 0) this.#place();
  }

  /** Lets go of everything. */
  close() {
    this.#observer.disconnect();
    this.#quality.close();
    this.#wants.close();
    this.#speaker.close();
    this.#sounds.close();
    for (const tile of this.#tiles.values()) tile.remove();
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
