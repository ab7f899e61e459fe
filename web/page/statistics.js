// The statistics panel: read once a second, kept for a minute and drawn, only while it is open.

import { StatisticsReader } from "../plenum/statistics.js";
import { language, say } from "../strings.js";
import { causeOf, reasonOf } from "./given.js";
import { copyText, icon, make } from "./dom.js";
import { Plot } from "./plot.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {GivenLayer, PauseReason} from "../plenum/messages.js" */
/** @import {Statistics, TrackStatistics, TransportStatistics} from "../plenum/statistics.js" */

const READ_MS = 1_000;
const NONE = "–";

export class StatisticsPanel {
  element;
  #connection;
  #reader = new StatisticsReader();
  #head = new Block(say("connection"), "ms");
  #sending = make("div", {});
  #receiving = make("div", {});
  /** By way, section and whose it is: somebody else in the same section begins a new plot.
   * @type {Map<string, Block>} */
  #blocks = new Map();
  #timer = 0;
  /** @type {Statistics|null} */
  #latest = null;

  /**
   * @param {Connection} connection
   * @param {() => void} close
   */
  constructor(connection, close) {
    this.#connection = connection;
    const label = make("span", {}, say("copyJson"));
    const words = { copy: say("copyJson"), copied: say("copied") };
    const copy = () => void copyText(label, this.#report(), words);
    this.element = make(
      "aside",
      { class: "panel", hidden: true, "aria-label": say("statistics") },
      make(
        "header",
        {},
        make("h2", {}, say("statistics")),
        make("button", { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: close }, icon("close")),
      ),
      make(
        "div",
        // It scrolls, so the keyboard has to reach it.
        { class: "statistics", tabIndex: 0, role: "group", "aria-label": say("statistics") },
        this.#head.element,
        make("h3", {}, say("sending")),
        this.#sending,
        make("h3", {}, say("receiving")),
        this.#receiving,
      ),
      make("footer", {}, make("button", { type: "button", class: "quiet", onclick: copy }, icon("copy"), label)),
    );
  }

  /** @param {boolean} open */
  show(open) {
    this.element.hidden = !open;
    clearInterval(this.#timer);
    if (!open) return;
    void this.#draw();
    this.#timer = setInterval(() => void this.#draw(), READ_MS);
  }

  async #draw() {
    const pc = this.#connection.stay?.pc;
    if (!pc || pc.connectionState === "closed" || document.visibilityState === "hidden") return;
    const latest = await this.#reader.read(pc);
    // Closed, or in another stay, by the time the browser answered.
    if (this.element.hidden || this.#connection.stay?.pc !== pc) return;
    this.#latest = latest;
    const { at, transport, tracks } = latest;
    this.#head.show([...headRows(transport), [say("estimateDown"), this.#estimate()]]);
    if (transport.rttMs !== null) this.#head.plot.add(at, transport.rttMs);
    const shown = new Set(tracks.filter(({ codec }) => codec !== "").map((track) => this.#drawTrack(at, track)));
    for (const [key, block] of this.#blocks) {
      if (shown.has(block)) continue;
      block.element.remove();
      this.#blocks.delete(key);
    }
    for (const part of [this.#sending, this.#receiving]) {
      if (part.querySelector(".block") === null) part.replaceChildren(make("p", { class: "dim" }, say("nothingYet")));
      else part.querySelector(":scope > p")?.remove();
    }
  }

  /**
   * @param {number} at
   * @param {TrackStatistics} track
   */
  #drawTrack(at, track) {
    const { name, paused, given } = this.#subjectOf(track);
    const key = keyOf(track, name);
    let block = this.#blocks.get(key);
    if (block) {
      block.plot.add(at, track.kbps);
    } else {
      // The first reading has no rate: there is none before it.
      block = new Block(name, "kb/s");
      this.#blocks.set(key, block);
      (track.way === "out" ? this.#sending : this.#receiving).append(block.element);
    }
    // Of several sizes of one picture each has its block.
    block.title = track.layer !== "" && track.height > 0 ? `${name} · ${linesOf(track)}p` : name;
    const stops = paused === "BANDWIDTH" ? "" : pauseOf(paused, track.codec);
    const reason = stops || (given ? reasonOf(given) : pauseOf(paused, track.codec));
    // What changed is the reason; its figures go with it all the time.
    if (track.way === "out") block.changed(track.limit, limitOf(track.limit));
    else block.changed(stops || (given?.reason ?? paused ?? ""), reason);
    const rows = trackRows(track);
    if (given && !stops) rows.push([say("reason"), reason]);
    block.show(rows);
    return block;
  }

  /**
   * Whose track it is and which.
   * @param {TrackStatistics} track
   * @returns {{
   *   name: string, participant: string, paused: PauseReason|undefined, given: GivenLayer|undefined
   * }}
   */
  #subjectOf({ mid, kind, way }) {
    const { stay, roster, self } = this.#connection;
    if (way === "out") {
      const isScreen = mid !== "" && (stay?.midOf("SCREEN") === mid || stay?.midOf("SCREEN_AUDIO") === mid);
      return { name: nameOf(say("me"), isScreen, kind), participant: self, paused: undefined, given: undefined };
    }
    const id = roster.sections.get(mid) ?? null;
    for (const { participant, displayName, tracks } of roster.participants.values()) {
      const track = id === null ? undefined : tracks.get(id);
      if (!track) continue;
      const isScreen = track.source.startsWith("SCREEN");
      const name = nameOf(displayName, isScreen, kind);
      return { name, participant, paused: roster.paused.get(track.track), given: roster.layers.get(track.track) };
    }
    return { name: `mid ${mid || NONE}`, participant: "", paused: undefined, given: undefined };
  }

  /** What the server believes our path carries. */
  #estimate() {
    const { estimate } = this.#connection.roster;
    return estimate ? `${Math.round(estimate.bitrate_bps / 1_000)} kb/s, ${causeOf(estimate.cause)}` : NONE;
  }

  /** The last reading, each track with its name and its last minute. */
  #report() {
    const tracks = (this.#latest?.tracks ?? []).map((track) => {
      const { name, participant, given } = this.#subjectOf(track);
      return { name, participant, ...track, ...(given ? { given } : {}), minute: this.#blocks.get(keyOf(track, name))?.plot.samples ?? [] };
    });
    return JSON.stringify({ time: new Date().toISOString(), ...this.#latest, estimateDown: this.#connection.roster.estimate, tracks, minute: this.#head.plot.samples }, null, 2);
  }

  /** Stops reading. */
  close() {
    clearInterval(this.#timer);
  }
}

/** A title, a plot and rows; text is only touched where it changes, so that it can be selected. */
class Block {
  element;
  plot;
  #title = make("h4", {});
  #list = make("dl", {});
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();
  /** @type {string|null} */
  #reason = null;
  #change = "";

  /** @param {string} title @param {string} unit of the plot */
  constructor(title, unit) {
    this.plot = new Plot((least, most) => say("plotRange", least, most, unit));
    this.title = title;
    this.element = make("div", { class: "block" }, this.#title, this.plot.element, this.#list);
  }

  /** @param {string} text */
  set title(text) {
    if (this.#title.textContent !== text) this.#title.textContent = text;
  }

  /** @param {[string, string][]} rows */
  show(rows) {
    for (const [name, text] of [...rows, ...(this.#change ? [[say("lastChange"), this.#change]] : [])]) {
      let value = this.#values.get(name ?? "");
      if (!value) {
        value = make("dd", {});
        this.#values.set(name ?? "", value);
        this.#list.append(make("dt", {}, name ?? ""), value);
      }
      if (value.textContent !== text) value.textContent = text ?? "";
    }
  }

  /**
   * Remembers when what limits a track became something else, and what.
   * @param {string} reason empty: nothing does
   * @param {string} words the same for people
   */
  changed(reason, words) {
    if (reason === this.#reason) return;
    const isFirst = this.#reason === null;
    this.#reason = reason;
    if (isFirst && (reason === "" || reason === "FULL")) return;
    const time = new Date().toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.#change = `${words || say("unlimited")}, ${time}`;
  }
}

/** @param {string} who @param {boolean} isScreen @param {"audio"|"video"} kind */
function nameOf(who, isScreen, kind) {
  const what = isScreen ? say("screen") : say(kind === "audio" ? "microphone" : "camera");
  return [who, what, ...(isScreen && kind === "audio" ? [say("audio")] : [])].join(" · ");
}

/** @param {TrackStatistics} track @param {string} name */
function keyOf({ way, mid, layer, kind }, name) {
  return `${way}/${mid}/${layer}/${kind}/${name}`;
}

/**
 * @param {TransportStatistics} transport
 * @returns {[string, string][]}
 */
function headRows(transport) {
  const { localCandidate, remoteCandidate, protocol } = transport;
  return [
    [say("path"), localCandidate ? `${localCandidate} → ${remoteCandidate}, ${protocol.toUpperCase()}` : NONE],
    [say("roundTrip"), milliseconds(transport.rttMs)],
    ["DTLS", transport.dtlsVersion.replace("DTLS ", "") || NONE],
    [say("ciphers"), transport.dtls.replace(/^TLS_/, "").replace("_WITH_", ", ") || NONE],
    ["SRTP", transport.srtp.replace(/^SRTP_/, "") || NONE],
    [say("estimate"), transport.estimateKbps === null ? NONE : `${Math.round(transport.estimateKbps)} kb/s`],
  ];
}

/**
 * @param {TrackStatistics} track
 * @returns {[string, string][]}
 */
function trackRows(track) {
  /** @type {[string, string][]} */
  const rows = [[say("codec"), track.codec]];
  if (track.kind === "video") rows.push([say("size"), `${track.width}×${track.height} @ ${Math.round(track.framesPerSecond)}`]);
  if (track.kind === "video" && track.height > 0) rows.push([say("layer"), `${linesOf(track)}p · ${Math.round(track.framesPerSecond)}`]);
  rows.push([say("rate"), `${Math.round(track.kbps)} kb/s`]);
  rows.push([say("loss"), `${track.lossPercent.toFixed(1)} %`]);
  rows.push([say("jitter"), milliseconds(track.jitterMs)]);
  if (track.rttMs !== null) rows.push([say("roundTrip"), milliseconds(track.rttMs)]);
  if (track.kind === "video" && track.way === "in") rows.push([say("freezes"), `${track.freezes} (${track.freezeSeconds.toFixed(1)} s)`]);
  return rows;
}

/** Lines, whichever way the picture stands. @param {TrackStatistics} track */
function linesOf({ width, height }) {
  return Math.min(width, height);
}

/** What getStats says holds a sender back. @param {string} limit */
function limitOf(limit) {
  if (limit === "bandwidth") return say("limitedByBandwidth");
  if (limit === "cpu") return say("limitedByProcessor");
  return limit === "other" ? say("limitedOtherwise") : "";
}

/** @param {PauseReason|undefined} paused @param {string} codec */
function pauseOf(paused, codec) {
  switch (paused) {
    case undefined:
      return "";
    case "WISHED":
      return say("pausedOutOfSight");
    case "MUTED":
      return say("pausedMuted");
    case "CODEC_UNSUPPORTED":
      return say("cannotDecode", codec);
    case "BANDWIDTH":
      return say("pausedBandwidth");
    case "QUIETER":
      return say("pausedQuieter");
    case "LIMIT_REACHED":
      return say("pausedLimit");
    default:
      return say("pausedByServer");
  }
}

/** @param {number|null} value */
function milliseconds(value) {
  return value === null ? NONE : `${value.toFixed(1)} ms`;
}
