// A network of its own: a bridge, and hosts at it that share nothing but that.

import { execFileSync, spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withoutLinkLocal } from "./link_local.js";
import { BINARY as BUILT } from "./server.js";
import { until } from "./until.js";

/** The server. */
export const BINARY = process.env.PLENUM_BIN ?? BUILT;

const BRIDGE = "lan0";

const ip = (/** @type {string} */ line) => execFileSync("ip", line.split(" "));

/** One host: a network namespace with an address at the bridge. */
export class Host {
  #holder;
  address;

  /** @param {import("node:child_process").ChildProcess} holder @param {string} address */
  constructor(holder, address) {
    this.#holder = holder;
    this.address = address;
  }

  /** What runs a command there. */
  get enter() {
    return ["nsenter", "-t", String(this.#holder.pid), "-n"];
  }

  /** @param {string} line */
  ip(line) {
    const [program, ...rest] = [...this.enter, "ip", ...line.split(" ")];
    execFileSync(/** @type {string} */ (program), rest);
  }

  close() {
    this.#holder.kill("SIGKILL");
  }
}

/**
 * Makes the bridge in this namespace and hosts 192.168.88.1, .2, … at it.
 * @param {number} count
 */
export async function startLan(count) {
  ip(`link add ${BRIDGE} type bridge`);
  ip(`link set ${BRIDGE} up`);
  const hosts = [];
  for (let number = 1; number <= count; number += 1) {
    const holder = spawn("unshare", ["-n", "sleep", "3600"], { stdio: "ignore" });
    const host = new Host(holder, `192.168.88.${number}`);
    const isThere = () => {
      try {
        // A namespace of its own has no interface but lo; ours has the bridge.
        const [program, ...rest] = [...host.enter, "ip", "-o", "link"];
        return !execFileSync(/** @type {string} */ (program), rest, { stdio: "pipe" }).toString().includes(BRIDGE);
      } catch {
        return false;
      }
    };
    await until(async () => isThere(), { within: 10_000, what: "the host has a network of its own" });
    ip(`link add port${number} type veth peer name wire${number}`);
    ip(`link set port${number} master ${BRIDGE} up`);
    ip(`link set wire${number} netns ${holder.pid}`);
    withoutLinkLocal((line) => host.ip(line), `wire${number}`);
    // "veth…" would be taken for a container's.
    host.ip(`link set wire${number} name eth0`);
    host.ip(`addr add ${host.address}/24 dev eth0`);
    host.ip("link set lo up");
    host.ip("link set eth0 up");
    hosts.push(host);
  }
  return {
    hosts,
    close() {
      for (const host of hosts) host.close();
      ip(`link del ${BRIDGE}`);
    },
  };
}

/**
 * A program that runs Chromium on a host.
 * @param {Host} host
 */
export function chromiumAt(host) {
  const folder = mkdtempSync(join(tmpdir(), "plenum-lan-"));
  const path = join(folder, "chromium");
  writeFileSync(path, `#!/bin/sh\nexec ${host.enter.join(" ")} /usr/bin/chromium "$@"\n`);
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Our variables without those that would be configuration to a server. */
export const outside = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PLENUM_")));

/**
 * Starts `plenum --lan` on a host.
 * @param {Host} host
 * @param {string} folder its data directory
 * @param {{[name: string]: string}} [environment]
 */
export function startAt(host, folder, environment = {}) {
  const [program, ...enter] = host.enter;
  const child = spawn(/** @type {string} */ (program), [...enter, BINARY, "--lan", "--data-dir", folder, "--shards", "1"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...outside(), ...environment },
  });
  const said = { out: "", log: "" };
  child.stdout.on("data", (bytes) => (said.out += bytes));
  child.stderr.on("data", (bytes) => (said.log += bytes));
  return { child, said };
}

/**
 * The link a server prints, once it does.
 * @param {{out: string, log: string}} said
 */
export async function invitation(said) {
  const link = () => /https:\/\/\S+/.exec(said.out)?.[0];
  await until(async () => link(), { within: 30_000, what: "the invitation is printed", last: async () => said.log });
  return /** @type {string} */ (link());
}

/**
 * The flag by which Chromium takes the one certificate of this data directory, and no other.
 * @param {string} folder
 */
export function trusting(folder) {
  const certificate = new X509Certificate(readFileSync(join(folder, "lan.crt")));
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}
