// Unary gRPC by hand: a few fields of a few messages, so that a test needs no generated stubs.

import { connect } from "node:http2";

/** @typedef {{[field: number]: string|number|Message}} Message */

/** @param {number} value @returns {number[]} */
function varint(value) {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/**
 * Protocol Buffers: strings and messages by length, numbers as varints.
 * @param {Message} message
 * @returns {Buffer}
 */
function encode(message) {
  const parts = Object.entries(message).map(([field, value]) => {
    const number = Number(field);
    if (typeof value === "number") return Buffer.from([...varint(number * 8), ...varint(value)]);
    const bytes = typeof value === "string" ? Buffer.from(value) : encode(value);
    return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
  });
  return Buffer.concat(parts);
}

/**
 * The first string of that field in an answer.
 * @param {Buffer} bytes
 * @param {number} field
 * @returns {string|null}
 */
export function stringOf(bytes, field) {
  let at = 0;
  const read = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = read();
    if (key % 8 === 0) read();
    else if (key % 8 === 2) {
      const length = read();
      if (Math.floor(key / 8) === field) return bytes.subarray(at, at + length).toString();
      at += length;
    } else at += key % 8 === 1 ? 8 : 4;
  }
  return null;
}

/**
 * Calls a method, `RoomService/CreateRoom`, and gives the answer's bytes.
 * @param {string} method
 * @param {Message} request
 * @param {string} [address] of the server; the suite's own unless said
 * @returns {Promise<Buffer>}
 */
export async function call(method, request, address = process.env.PLENUM_GRPC) {
  const connection = connect(`http://${address}`);
  try {
    return await new Promise((resolve, reject) => {
      connection.on("error", reject);
      const stream = connection.request({
        ":method": "POST",
        ":path": `/plenum.v1.${method}`,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const body = encode(request);
      const head = Buffer.alloc(5);
      head.writeUInt32BE(body.length, 1);
      /** @type {Buffer[]} */
      const chunks = [];
      let status = "";
      let message = "";
      /** @param {any} headers */
      const note = (headers) => {
        status = headers["grpc-status"] ?? status;
        message = headers["grpc-message"] ?? message;
      };
      stream.on("response", note);
      stream.on("trailers", note);
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        if (status === "0") resolve(Buffer.concat(chunks).subarray(5));
        else reject(new Error(`${method}: status ${status}: ${decodeURIComponent(message)}`));
      });
      stream.end(Buffer.concat([head, body]));
    });
  } finally {
    connection.close();
  }
}
