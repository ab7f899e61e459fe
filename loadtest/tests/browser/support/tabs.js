// Real browsers, behind one small surface: a tab that opens the page, is asked, and is closed.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { checkFrame, framesReport } from "./frames.js";
import { until } from "./until.js";

const URL_BASE = process.env.PLENUM_URL ?? "";
const SHOTS = process.env.PLENUM_SHOTS ?? tmpdir();

const CHROMIUM_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];
/** Where lo is all there is, nothing is gathered without it. */
const LOOPBACK_FLAG = "--allow-loopback-in-peer-connection";

/** The wish of every test that does not say otherwise: small pictures for two cores. */
export const SMALL = { video: "320x240@15" };

let sockets = 0;

/** Runs in the page before its own scripts: Firefox's protocol does not show frames. */
function recordFrames() {
  /** @type {{socket: number, way: string, text: string}[]} */
  const frames = [];
  let opened = 0;
  Object.defineProperty(window, "recordedFrames", { value: frames });
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    frames.push({ socket: /** @type {any} */ (this).number, way: "browser", text: String(data) });
    return send.call(this, data);
  };
  window.WebSocket = class extends WebSocket {
    /** @param {string|URL} url @param {string|string[]} [protocols] */
    constructor(url, protocols) {
      super(url, protocols);
      const socket = (opened += 1);
      Object.assign(this, { number: socket });
      this.addEventListener("message", ({ data }) => frames.push({ socket, way: "server", text: String(data) }));
    }
  };
}

export class Tab {
  /** @type {string[]} */
  errors = [];
  /** What did not load, and why: the newest ten. @type {string[]} */
  failed = [];
  page;
  #close;
  #firefox;

  /** @param {any} page @param {{close: () => Promise<void>, firefox?: boolean}} options */
  constructor(page, { close, firefox = false }) {
    this.page = page;
    this.#close = close;
    this.#firefox = firefox;
    page.on("pageerror", (/** @type {Error} */ error) => this.errors.push(String(error)));
    page.on("console", (/** @type {any} */ message) => {
      if (/content security policy/i.test(message.text())) this.errors.push(message.text());
    });
    if (firefox) return;
    const note = (/** @type {string} */ what) => void (this.failed = [...this.failed, what].slice(-10));
    page.on("requestfailed", (/** @type {any} */ request) => note(`${request.url()}: ${request.failure()?.errorText}`));
    page.on("response", (/** @type {any} */ response) => {
      if (response.status() >= 400) note(`${response.url()}: ${response.status()}`);
    });
    page.on("websocket", (/** @type {any} */ socket) => {
      if (!socket.url().includes("/v1/connect")) return;
      const name = `socket ${(sockets += 1)}`;
      socket.on("framesent", ({ payload }) => checkFrame(name, { way: "browser", text: String(payload) }));
      socket.on("framereceived", ({ payload }) => checkFrame(name, { way: "server", text: String(payload) }));
    });
  }

  /**
   * Runs a function in the page.
   * @template A, R
   * @param {(argument: A) => R|Promise<R>} run
   * @param {A} [argument]
   * @returns {Promise<R>}
   */
  ask(run, argument) {
    return this.page.evaluate(run, argument);
  }

  /** @param {string} path of the server @param {string} [base] another server */
  async open(path, base = URL_BASE) {
    await this.page.goto(base + path);
  }

  /**
   * Opens a room and waits until the server has welcomed us.
   * @param {string} room
   * @param {string} name
   * @param {{[parameter: string]: string}} [parameters]
   */
  async join(room, name, parameters = {}) {
    await this.open(address(room, name, parameters));
    await this.state("in");
    return this;
  }

  /** @param {string} state @param {number} [within] */
  async state(state, within = 15_000) {
    const look = () => this.ask(() => {
      const { plenum } = /** @type {any} */ (window);
      return { state: plenum?.state, ended: plenum?.ended, problems: plenum?.problems };
    });
    // A page that never ran has no state: then what matters is why.
    const last = async () => ({ ...(await look()), url: this.page.url(), errors: this.errors, failed: this.failed });
    await until(async () => (await look()).state === state, { within, what: `the page is in state "${state}"`, last });
  }

  /** @param {string} name */
  async screenshot(name) {
    const path = join(SHOTS, `${name}.png`);
    await this.page.screenshot({ path });
    return path;
  }

  async close() {
    if (this.#firefox) {
      const frames = await this.page.evaluate(() => /** @type {any} */ (window).recordedFrames ?? []);
      const tab = (sockets += 1);
      for (const frame of frames) checkFrame(`tab ${tab} socket ${frame.socket}`, frame);
    }
    await this.#close();
    assert.deepEqual(this.errors, [], "the page threw nothing");
  }
}

/**
 * @param {string} room
 * @param {string} name
 * @param {{[parameter: string]: string}} [parameters]
 */
export function address(room, name, parameters = {}) {
  const query = new URLSearchParams({ autojoin: "1", name, ...SMALL, ...parameters });
  return `/r/${room}?${query}`;
}

/**
 * Starts Chromium; each tab has a context, so its own storage and permissions.
 * @param {{loopback?: boolean, without?: string[], flags?: string[], executablePath?: string}} [options] `without`: flags
 *   that are left out, by their beginning
 */
export async function startChromium({ loopback = true, without = [], flags = [], executablePath = "/usr/bin/chromium" } = {}) {
  const usual = CHROMIUM_FLAGS.filter((flag) => !without.some((each) => flag.startsWith(`--${each}`)));
  const server = await chromium.launchServer({
    executablePath,
    args: [...usual, ...flags, ...(loopback ? [LOOPBACK_FLAG] : [])],
    // It would silence what the tests listen for.
    ignoreDefaultArgs: ["--mute-audio"],
    handleSIGTERM: false,
  });
  const browser = await chromium.connect(server.wsEndpoint());
  return {
    pid: /** @type {number} */ (server.process().pid),
    /**
     * @param {{width: number, height: number}} [viewport]
     * @param {import("playwright-core").BrowserContextOptions} [more] options of its context
     */
    async tab(viewport = { width: 1_280, height: 720 }, more = {}) {
      const context = await browser.newContext({ viewport, ...more });
      return new Tab(await context.newPage(), { close: () => context.close() });
    },
    async close() {
      await browser.close().catch(() => {});
      await server.close();
    },
    /** What a crash looks like from outside. */
    async kill() {
      await server.kill();
    },
  };
}

/** Starts Firefox with its fake devices. */
export async function startFirefox() {
  const userDataDir = mkdtempSync(join(tmpdir(), "plenum-firefox-"));
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: "/usr/bin/firefox-esr",
    headless: true,
    userDataDir,
    extraPrefsFirefox: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.autoplay.default": 0,
    },
  });
  return {
    async tab() {
      const page = await browser.newPage();
      await page.evaluateOnNewDocument(recordFrames);
      return new Tab(page, { close: () => page.close(), firefox: true });
    },
    async close() {
      await browser.close();
      rmSync(userDataDir, { recursive: true, force: true });
    },
  };
}

/** For `after`: every frame that this file's tabs sent or got fits its schema. */
export function assertFrames() {
  const { seen, schemas, wrong } = framesReport();
  assert.ok(seen > 0, "frames were seen");
  assert.ok(schemas > 0, "there are schemas");
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${seen} frames do not fit`);
}
