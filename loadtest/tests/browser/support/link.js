// A network that can be cut: what goes between browser and server passes through here, by TCP
// and UDP, and while the link is down nothing does. Nobody is told, as when a cable is pulled.

import { createSocket } from "node:dgram";
import { createServer, connect } from "node:net";
import { HOST } from "./server.js";

/** RTP, by RFC 7983 §7 and RFC 5761 §4. @param {Buffer} datagram */
function isMedia(datagram) {
  const [first = 0, second = 0] = datagram;
  return first >= 128 && first < 192 && (second < 192 || second > 223);
}

/**
 * @param {{http: number, udp: number, toHttp: number, toUdp: number, delay?: number}} ports `http`,
 *   `udp`: ours; the server is to advertise the latter. `delay`: ms that TCP takes each way
 */
export async function startLink({ http, udp, toHttp, toUdp, delay = 0 }) {
  let isUp = true;
  /** One in so many packets of media is lost on each way; 0: none. */
  const lossEvery = { browser: 0, server: 0 };
  const media = { browser: 0, server: 0 };
  /** Packets of media by where they go and payload type. @type {Map<string, number>} */
  const seen = new Map();
  /** Counts it; false where it is lost. @param {"browser"|"server"} to @param {Buffer} datagram */
  const passes = (to, datagram) => {
    if (!isMedia(datagram)) return true;
    const key = `${to} ${(datagram[1] ?? 0) & 127}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    if (lossEvery[to] > 0) media[to] += 1;
    return lossEvery[to] === 0 || media[to] % lossEvery[to] !== 0;
  };
  /** @type {Set<() => void>} */
  const mended = new Set();
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();

  /** @param {import("node:net").Socket} from @param {import("node:net").Socket} to */
  const pipe = (from, to) => {
    const go = () => void (isUp ? from.resume() : from.pause());
    mended.add(go);
    /** @param {Buffer} data */
    const pass = (data) => {
      // What comes while the link is down waits, as TCP would send it again.
      if (!to.write(data)) {
        from.pause();
        to.once("drain", go);
      }
      if (!isUp) from.pause();
    };
    // Timers of one length fire in the order they were set.
    from.on("data", (data) => void (delay > 0 ? setTimeout(pass, delay, data) : pass(data)));
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
      if (delay > 0) setTimeout(end, delay);
      else end();
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
        if (passes("browser", answer) && isUp) front.send(answer, from.port, from.address);
      });
      way.on("error", () => {});
      ways.set(key, way);
    }
    if (passes("server", data)) way.send(data, toUdp, HOST);
  });
  front.on("error", () => {});
  await new Promise((resolve) => front.bind(udp, HOST, () => resolve(undefined)));

  return {
    url: `http://127.0.0.1:${http}`,
    cut() {
      isUp = false;
      for (const socket of sockets) socket.pause();
    },
    /**
     * @param {number} every one in so many packets of media is lost; 0: none
     * @param {"browser"|"server"} [to]
     */
    lose(every, to = "browser") {
      lossEvery[to] = every;
    },
    /** Packets of media on their way to a "browser" or the "server". @param {string} to @param {number} payloadType */
    packets: (to, payloadType) => seen.get(`${to} ${payloadType}`) ?? 0,
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
