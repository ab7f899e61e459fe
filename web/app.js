// The page: home at `/`, and for `/r/{room}` lobby, meeting and end, one after the other.
//
// Addresses: `#token=…` carries a token (moved to sessionStorage and out of sight at once).
// For tests: on this machine `?autojoin=1&name=Ada` joins without a click, `&participant=ada` asks for
// an id (development mode), `&codec=VP9` puts a video codec first, `&video=320x240@15` asks the
// camera for a size and rate, `&audio=0` and `&camera=0` join without microphone or camera.

import { Devices } from "./page/devices.js";
import { make } from "./page/dom.js";
import { showEnd } from "./page/end.js";
import { showHome } from "./page/home.js";
import { Lobby, rememberName } from "./page/lobby.js";
import { Meeting } from "./page/meeting.js";
import { publishDevices } from "./page/publishing.js";
import { announceAdmission, Waiting } from "./page/waiting.js";
import { Connection } from "./plenum/connection.js";
import { StatisticsReader } from "./plenum/statistics.js";
import { language, say } from "./strings.js";

/** @import {End} from "./plenum/connection.js" */

const query = new URLSearchParams(location.search);

/**
 * What tests may look at; the page itself never reads it back.
 *
 * - `state`: "lobby", a state of the connection, or "home"
 * - `connection`: the library's Connection, or null in the lobby
 * - `pc`: the RTCPeerConnection of the present stay
 * - `participants`: the others, as {participant, displayName, tracks}
 * - `ended`: {reason, message} once out
 * - `problems`: what went wrong without ending anything
 * - `stats()`: getStats in brief
 */
const surface = {
  state: "home",
  /** @type {Connection|null} */
  connection: null,
  /** @type {End|null} */
  ended: null,
  /** @type {End[]} */
  problems: [],
  get pc() {
    return this.connection?.stay?.pc ?? null;
  },
  get participants() {
    return [...(this.connection?.roster.participants.values() ?? [])].map(({ participant, displayName, state, tracks }) => ({
      participant,
      displayName,
      state,
      tracks: [...tracks.values()],
    }));
  },
  reader: new StatisticsReader(),
  async stats() {
    return this.pc ? this.reader.read(this.pc) : null;
  },
};
Object.defineProperty(window, "plenum", { value: surface });

/** @returns {import("./page/devices.js").VideoSize} */
function videoSize() {
  const match = /^(\d+)x(\d+)(?:@(\d+))?$/.exec(query.get("video") ?? "");
  return {
    width: Number(match?.[1] ?? 1_280),
    height: Number(match?.[2] ?? 720),
    frameRate: Number(match?.[3] ?? 30),
  };
}

/** @param {string} room */
const tokenKey = (room) => `plenum.token.${room}`;

/**
 * Takes the token out of the address bar. It outlives a reload of this tab and nothing more.
 * @param {string} room
 */
function takeToken(room) {
  const key = tokenKey(room);
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    sessionStorage.setItem(key, token);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(key);
}

/**
 * @param {HTMLElement} root
 * @param {string} room
 */
function runRoom(root, room) {
  const token = takeToken(room);
  const devices = new Devices(videoSize());
  devices.microphoneOn = query.get("audio") !== "0";
  devices.cameraOn = query.get("camera") !== "0";
  document.title = `${room} · ${say("product")}`;
  const opened = devices.microphoneOn || devices.cameraOn ? devices.open(devices.microphoneOn, devices.cameraOn) : Promise.resolve();

  const showLobby = () => {
    surface.state = "lobby";
    const join = (/** @type {string} */ name) => {
      rememberName(name);
      lobby.close();
      enter(name);
    };
    const lobby = new Lobby(root, room, devices, { url: socketUrl(), token, join });
  };

  /** @param {string} displayName */
  const enter = (displayName) => {
    const connection = new Connection({
      url: socketUrl(),
      room,
      token,
      participant: query.get("participant"),
      displayName,
      codec: query.get("codec"),
    });
    surface.connection = connection;
    surface.ended = null;
    const meeting = new Meeting(root, { connection, devices, displayName, room, token });
    /** @type {Waiting|null} */
    let waiting = null;
    connection.on("state", (/** @type {string} */ state) => {
      surface.state = state;
      if (state === "waiting") {
        waiting ??= new Waiting(root, room, devices, () => connection.leave());
      } else if (waiting && state === "in") {
        waiting.close();
        waiting = null;
        meeting.show(root);
        announceAdmission(document.title);
      }
    });
    connection.on("problem", (problem) => {
      surface.problems.push(problem);
      console.warn(problem.reason, problem.message);
    });
    connection.on("ended", (end) => {
      surface.ended = end;
      // A token that was refused once shall not stand in the way of coming back without one.
      if (end.reason.startsWith("TOKEN_")) sessionStorage.removeItem(tokenKey(room));
      waiting?.close();
      meeting.close();
      stopPublishing();
      devices.close();
      window.removeEventListener("pagehide", goodbye);
      showEnd(root, end, () => void devices.open(devices.microphoneOn, devices.cameraOn).then(() => enter(displayName)));
    });
    // A tab that is closed says goodbye, so that nobody sees its last picture for six seconds.
    const goodbye = () => connection.leave();
    window.addEventListener("pagehide", goodbye);
    // Who joins before the browser's question is answered is heard and seen once it is.
    const stopPublishing = publishDevices(connection, devices);
    connection.join();
  };

  if (joinsByItself()) {
    root.replaceChildren(make("main", { class: "centre" }, make("p", { class: "dim" }, say("joining"))));
    surface.state = "joining";
    void opened.then(() => enter(query.get("name") ?? "Guest"));
  } else {
    showLobby();
  }
}

/**
 * Whether to join without a click. Elsewhere than on this machine nobody's link shall turn on the
 * camera of whoever follows it.
 */
function joinsByItself() {
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  return here && query.get("autojoin") === "1";
}

/** Where the library connects to: this server. */
function socketUrl() {
  const url = new URL("/v1/connect", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

document.documentElement.lang = language;
const root = /** @type {HTMLElement} */ (document.getElementById("root"));
const room = roomOf(location.pathname);
if (room === null) showHome(root);
else runRoom(root, room);

/**
 * The room that an address names; null where it names none, or not in UTF-8.
 * @param {string} path
 * @returns {string|null}
 */
function roomOf(path) {
  const id = /^\/r\/([^/]+)\/?$/.exec(path)?.[1];
  try {
    return id === undefined ? null : decodeURIComponent(id);
  } catch {
    return null;
  }
}
