// Every WebSocket frame of every test against proto/websocket/*.schema.json.
//
// A message with `type` is checked by TYPE.schema.json, one without by its first key
// (`description`, `candidate`). Which way it goes is told apart inside the schema, where the two
// differ, by the file names TYPE.browser.schema.json and TYPE.server.schema.json.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";

const FOLDER = fileURLToPath(new URL("../../../../proto/websocket/", import.meta.url));

/** @typedef {{way: "browser"|"server", text: string}} Frame */

/** @type {{way: string, why: string, frame: string}[]} */
const wrong = [];
let seen = 0;
/** @type {Map<string, number>} by the sender's socket: the last sequence */
const sequences = new Map();

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
/** @type {Map<string, any>} */
const schemas = new Map();
if (existsSync(FOLDER)) {
  for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".schema.json"))) {
    const schema = JSON.parse(readFileSync(FOLDER + name, "utf8"));
    schemas.set(name.replace(".schema.json", ""), schema);
    ajv.addSchema(schema, schema.$id ?? name);
  }
}

/**
 * Checks one frame and remembers what is wrong with it.
 * @param {string} socket names the socket, for its sequence
 * @param {Frame} frame
 */
export function checkFrame(socket, { way, text }) {
  seen += 1;
  /** @param {string} why */
  const complain = (why) => void wrong.push({ way, why, frame: text.slice(0, 600) });
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    complain("is no JSON");
    return;
  }
  if (way === "server") {
    // A pong has no number of its own; `resumed` says where the numbers of its socket go on.
    const last = sequences.get(socket) ?? 0;
    const due = message.type === "pong" ? last : last + 1;
    if (message.sequence !== due && message.type !== "resumed") complain(`sequence ${message.sequence} where ${due} is due`);
    sequences.set(socket, message.sequence);
  }
  const kind = message.type ?? ("description" in message ? "description" : "candidate");
  const name = [`${kind}.${way}`, kind].find((each) => schemas.has(each));
  if (name === undefined) {
    complain(`no schema for ${kind}`);
    return;
  }
  const schema = schemas.get(name);
  const validate = ajv.getSchema(schema.$id ?? `${name}.schema.json`);
  if (!validate) complain(`schema ${name} does not compile`);
  else if (!validate(message)) complain(ajv.errorsText(validate.errors));
}

/** What the frames of this file of tests came to. */
export function framesReport() {
  return { seen, schemas: schemas.size, wrong };
}
