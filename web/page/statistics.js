// The statistics panel: read once a second, and only while it is open.

import { StatisticsReader } from "../plenum/statistics.js";
import { say } from "../strings.js";
import { copyText, icon, make } from "./dom.js";

/** @import {Connection} from "../plenum/connection.js" */
/** @import {Statistics, TrackStatistics} from "../plenum/statistics.js" */

const READ_MS = 1_000;

export class StatisticsPanel {
  element;
  #connection;
  #reader = new StatisticsReader();
  #body = make("div", { class: "statistics" });
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
    this.element = make(
      "aside",
      { class: "panel", hidden: true, "aria-label": say("statistics") },
      make(
        "header",
        {},
        make("h2", {}, say("statistics")),
        make("button", { type: "button", class: "icon-button", "aria-label": say("close"), title: say("close"), onclick: close }, icon("close")),
      ),
      this.#body,
      make("footer", {}, make("button", { type: "button", class: "quiet", onclick: () => void copyText(label, JSON.stringify(this.#latest, null, 2), words) }, icon("copy"), label)),
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
    if (!pc) return;
    this.#latest = await this.#reader.read(pc);
    const { transport, tracks } = this.#latest;
    const outgoing = tracks.filter(({ way, codec }) => way === "out" && codec !== "");
    const incoming = tracks.filter(({ way, codec }) => way === "in" && codec !== "");
    this.#body.replaceChildren(
      block(say("connection"), [
        [say("path"), transport.localCandidate ? `${transport.localCandidate} → ${transport.remoteCandidate}, ${transport.protocol.toUpperCase()}` : "–"],
        [say("roundTrip"), milliseconds(transport.rttMs)],
        [say("ciphers"), [transport.dtlsVersion, transport.dtls, transport.srtp].filter(Boolean).join(" · ") || "–"],
        [say("estimate"), transport.estimateKbps === null ? "–" : `${Math.round(transport.estimateKbps)} kb/s`],
      ]),
      make("h3", {}, say("sending")),
      ...(outgoing.length ? outgoing.map((each) => this.#track(each)) : [nothing()]),
      make("h3", {}, say("receiving")),
      ...(incoming.length ? incoming.map((each) => this.#track(each)) : [nothing()]),
    );
  }

  /** @param {TrackStatistics} track */
  #track(track) {
    /** @type {[string, string][]} */
    const rows = [[say("codec"), track.codec]];
    if (track.kind === "video") rows.push([say("size"), `${track.width}×${track.height} @ ${Math.round(track.framesPerSecond)}`]);
    rows.push([say("rate"), `${Math.round(track.kbps)} kb/s`]);
    rows.push([say("loss"), `${track.lossPercent.toFixed(1)} %`]);
    rows.push([say("jitter"), `${track.jitterMs.toFixed(1)} ms`]);
    if (track.rttMs !== null) rows.push([say("roundTrip"), milliseconds(track.rttMs)]);
    if (track.kind === "video" && track.way === "in") rows.push([say("freezes"), `${track.freezes} (${track.freezeSeconds.toFixed(1)} s)`]);
    return block(this.#nameOf(track), rows);
  }

  /** @param {TrackStatistics} track */
  #nameOf({ mid, kind, way }) {
    const { stay, roster, self } = this.#connection;
    const what = kind === "audio" ? say("audio") : "";
    if (way === "out") {
      const screen = mid !== "" && (stay?.midOf("SCREEN") === mid || stay?.midOf("SCREEN_AUDIO") === mid);
      return [say("me"), screen ? say("screen") : kind === "audio" ? say("microphone") : say("camera")].join(" · ");
    }
    const id = roster.sections.get(mid) ?? null;
    for (const { displayName, tracks } of roster.participants.values()) {
      const track = id === null ? undefined : tracks.get(id);
      if (track) return [displayName, track.source.startsWith("SCREEN") ? say("screen") : "", what || say("camera")].filter(Boolean).join(" · ");
    }
    return `mid ${mid || self}`;
  }

  /** Stops reading. */
  close() {
    clearInterval(this.#timer);
  }
}

/** @param {number|null} value */
function milliseconds(value) {
  return value === null ? "–" : `${value.toFixed(1)} ms`;
}

function nothing() {
  return make("p", { class: "dim" }, say("nothingYet"));
}

/**
 * @param {string} title
 * @param {[string, string][]} rows
 */
function block(title, rows) {
  return make(
    "div",
    { class: "block" },
    make("h4", {}, title),
    make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  );
}
