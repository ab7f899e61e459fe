// The server under test: our own process on ports of its own.

import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until.js";

/** The address media is offered at: Firefox never pairs with 127.0.0.1 alone. */
export const HOST = "10.88.0.1";

/** The server. */
export const BINARY = fileURLToPath(new URL("../../../../target/debug/plenum", import.meta.url));

/**
 * Starts a server and waits until it is ready.
 * @param {{port?: number, advertise?: string, arguments?: string[], environment?: {[name: string]: string}, host?: string, within?: string[]}} [options]
 *   `port`: HTTP; gRPC, admin and media take the three after it; `advertise`: where media is said
 *   to be. `host`: where HTTP and media are, if not on this machine's own addresses. `within`: a
 *   command that runs it, such as nsenter
 */
export async function startServer({ port = 18_080, host = "", advertise = host || HOST, arguments: more = [], environment = {}, within = [] } = {}) {
  const binary = process.env.PLENUM_BIN ?? BINARY;
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build -p control-api, or set PLENUM_BIN`);
  const http = `${host || "127.0.0.1"}:${port}`;
  const url = `http://${http}`;
  const grpc = `127.0.0.1:${port + 1}`;
  const logFile = join(tmpdir(), `plenum-browser-tests-${port}.log`);
  const log = openSync(logFile, "w");
  // PLENUM_… is configuration to the server: neither our variables nor a developer's may reach it.
  const outside = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLENUM_")));
  const [command = binary, ...before] = [...within, binary];
  const child = spawn(
    command,
    [...before, "--http", http, "--grpc", grpc, "--admin", `127.0.0.1:${port + 2}`, "--udp", `${host || HOST}:${port + 3}`, "--advertise", advertise, "--shards", "1", ...more],
    { stdio: ["ignore", log, log], env: { ...outside, ...environment } },
  );
  /** @type {string|null} */
  let ended = null;
  child.on("exit", (code, signal) => (ended = `the server ended with ${signal ?? code}; see ${logFile}`));
  child.on("error", (error) => (ended = String(error)));
  await until(
    async () => {
      if (ended) throw new Error(ended);
      return (await fetch(`${url}/readyz`).catch(() => null))?.ok;
    },
    { within: 20_000, what: `${url}/readyz answers` },
  );
  return {
    url,
    grpc,
    pid: child.pid,
    logFile,
    /** True while the process runs. */
    get alive() {
      return ended === null;
    },
    /** @param {NodeJS.Signals} signal */
    kill(signal) {
      child.kill(signal);
    },
    /** Ends the process: two SIGTERM are "at once". */
    async stop() {
      if (ended !== null) return;
      const gone = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGTERM");
      child.kill("SIGTERM");
      const hard = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await gone;
      clearTimeout(hard);
    },
  };
}
