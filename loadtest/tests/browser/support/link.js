// A network that can be cut: what goes between browser and server passes through here, by TCP
// and UDP, and while the link is down nothing does. Nobody is told, as when a cable is pulled.

import { createSocket } from "node:dgram";
import { createServer, connect } from "node:net";
import { HOST } from "./server.js";

/**
 * @param {{http: number, udp: number, toHttp: number, toUdp: number}} ports `http`, `udp`: ours;
 *   the server is to advertise the latter
 */
export async function startLink({ http, udp, toHttp, toUdp }) {
  let isUp = true;
  /** @type {Set<() => void>} */
  const mended = new Set();
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();

  /** @param {import("node:net").Socket} from @param {import("node:net").Socket} to */
  const pipe = (from, to) => {
    const go = () => void (isUp ? from.resume() : from.pause());
    mended.add(go);
    from.on("data", (data) => {
      // What comes while the link is down waits, as TCP would send it again.
      if (!to.write(data)) {
        from.pause();
        to.once("drain", go);
      }
      if (!isUp) from.pause();
    });
    from.on("close", () => {
      mended.delete(go);
      sockets.delete(from);
      // An end is only seen by the other side once the link is up.
      const end = () => {
        if (!isUp) return;
        mended.delete(end);
        to.destroy();
      };
      mended.add(end);
      end();
    });
    from.on("error", () => {});
  };
  const tcp = createServer((client) => {
    const begin = () => {
      if (!isUp) return;
      mended.delete(begin);
      const server = connect(toHttp, "127.0.0.1");
      sockets.add(server);
      pipe(client, server);
      pipe(server, client);
      client.resume();
    };
    client.pause();
    client.on("error", () => {});
    sockets.add(client);
    mended.add(begin);
    begin();
  });
  await new Promise((resolve) => tcp.listen(http, "127.0.0.1", () => resolve(undefined)));

  /** @type {Map<string, import("node:dgram").Socket>} one way to the server for each browser */
  const ways = new Map();
  const front = createSocket("udp4");
  front.on("message", (data, from) => {
    if (!isUp) return;
    const key = `${from.address}:${from.port}`;
    let way = ways.get(key);
    if (!way) {
      way = createSocket("udp4");
      way.bind(0, HOST);
      way.on("message", (answer) => {
        if (isUp) front.send(answer, from.port, from.address);
      });
      way.on("error", () => {});
      ways.set(key, way);
    }
    way.send(data, toUdp, HOST);
  });
  front.on("error", () => {});
  await new Promise((resolve) => front.bind(udp, HOST, () => resolve(undefined)));

  return {
    url: `http://127.0.0.1:${http}`,
    cut() {
      isUp = false;
      for (const socket of sockets) socket.pause();
    },
    mend() {
      isUp = true;
      for (const go of [...mended]) go();
    },
    close() {
      isUp = true;
      for (const socket of sockets) socket.destroy();
      for (const way of ways.values()) way.close();
      front.close();
      tcp.close();
    },
  };
}
