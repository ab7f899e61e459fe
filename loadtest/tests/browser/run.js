// Runs the browser tests, or with a name of `MEASUREMENTS` one of those, in a network namespace of
// their own: nothing reaches the machine's network, and Firefox gets the default route without
// which it gathers no candidate.
//
//   node run.js                 all tests
//   node run.js codecs leaving  the files of these names
//   node run.js page/           those of the folder
//   node run.js long-meeting 10 six tabs for ten minutes, a table of frozen tiles
//   node run.js join-time       20 joins, a table, one line of JSON
//   node run.js profile 30      what the page's scripts cost with six tiles, a table
//   node run.js run-lengths     packets a message of the kernel's, by codec and bitrate, a table
//   node run.js switches 100    layers and rungs to and fro, a table
//   node run.js twin fall       real encoders and decoders on bad networks, a table
//
// Environment: PLENUM_BIN (the server; default target/debug/plenum), PLENUM_SHOTS (where
// screenshots go; default a new folder in the temporary one), PLENUM_URL (a server that runs
// already: no namespace, no server of ours).

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HOST, startServer } from "./support/server.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const names = process.argv.slice(2);
/** What is no test, by its name on the command line. @type {{[name: string]: string}} */
const MEASUREMENTS = { "join-time": "join_time.js", "long-meeting": "long_meeting.js", profile: "profile.js", "run-lengths": "run_lengths.js", switches: "layer_switches.js", twin: "network_twin.js" };

if (process.env.PLENUM_NAMESPACE !== "1" && !process.env.PLENUM_URL) {
  // Root makes a namespace as it is; anybody else as root of a user namespace.
  const flags = process.getuid?.() === 0 ? ["-n"] : ["-rn"];
  const inner = spawnSync("unshare", [...flags, process.execPath, join(here, "run.js"), ...names], {
    stdio: "inherit",
    env: { ...process.env, PLENUM_NAMESPACE: "1" },
  });
  if (inner.error) throw inner.error;
  process.exit(inner.status ?? 1);
}

if (process.env.PLENUM_NAMESPACE === "1") {
  const ip = (/** @type {string} */ line) => execFileSync("ip", line.split(" "));
  ip("link set lo up");
  ip(`addr add ${HOST}/32 dev lo`);
  ip(`route add default dev lo src ${HOST}`);
}

const server = process.env.PLENUM_URL ? null : await startServer();
const shots = process.env.PLENUM_SHOTS ?? mkdtempSync(join(tmpdir(), "plenum-shots-"));
const env = {
  ...process.env,
  PLENUM_URL: process.env.PLENUM_URL ?? server?.url,
  PLENUM_GRPC: process.env.PLENUM_GRPC ?? server?.grpc,
  PLENUM_SHOTS: shots,
};

/** @type {string[]} */
let command;
const measurement = MEASUREMENTS[names[0] ?? ""];
if (measurement !== undefined) {
  command = [join(here, measurement), ...names.slice(1)];
} else {
  const filesOf = (/** @type {string} */ folder) => readdirSync(join(here, folder)).map((name) => folder + name);
  const all = [...filesOf(""), ...filesOf("page/")].filter((name) => name.endsWith(".test.js")).sort();
  const chosen = names.length === 0 ? all : all.filter((file) => names.some((name) => file.startsWith(name)));
  // One file after the other: two cores encode and decode for up to four tabs already.
  command = ["--test", "--test-concurrency=1", "--test-reporter=spec", ...chosen.map((name) => join(here, name))];
}

const tests = spawn(process.execPath, command, { stdio: "inherit", env });
const status = await new Promise((resolve) => tests.on("exit", (code) => resolve(code ?? 1)));
await server?.stop();
if (measurement === undefined) console.log(`screenshots: ${shots}`);
process.exit(/** @type {number} */ (status));
