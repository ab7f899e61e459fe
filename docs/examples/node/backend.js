// An app backend: makes a room, watches it, invites somebody, locks it, ends it. docs/backend.md.
// PLENUM_GRPC is where the server listens; BACKEND_TOKEN, where one is needed.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const proto = fileURLToPath(new URL("../../../proto", import.meta.url));
const files = ["room", "token", "event"].map((name) => `plenum/v1/${name}.proto`);
const loaded = loader.loadSync(files, { includeDirs: [proto], keepCase: true, longs: Number });
const { plenum } = grpc.loadPackageDefinition(loaded);

const address = process.env.PLENUM_GRPC ?? "127.0.0.1:50051";
const service = (name) => new plenum.v1[name](address, grpc.credentials.createInsecure());
const [rooms, tokens, events] = ["RoomService", "TokenService", "EventService"].map(service);

const metadata = new grpc.Metadata();
if (process.env.BACKEND_TOKEN) {
  metadata.set("authorization", `Bearer ${process.env.BACKEND_TOKEN}`);
}

/** One call, as a promise. */
function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline: Date.now() + 10_000 }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

// What is there, then what happens; a resume_token goes on where a stream was cut.
const stream = events.WatchEvents({ parent: "rooms/-", snapshot: true }, metadata);
const items = stream[Symbol.asyncIterator]();
for (;;) {
  const { value } = await items.next();
  if (value.snapshot_end) break;
}

// A retry with the same request_id makes no second room.
const wanted = {
  room_id: "node",
  room: { display_name: "Stand-up" },
  request_id: randomUUID(),
};
const room = await call(rooms, "CreateRoom", wanted);
const again = await call(rooms, "CreateRoom", wanted);
if (again.uid !== room.uid) throw new Error("made twice");
console.log("made", room.name);

const invitation = { room: room.name, participant_id: "ada", display_name: "Ada" };
const issued = await call(tokens, "IssueToken", invitation);
console.log("open", issued.page_url.split("#")[0]);

// The mask says what changes, the etag that nobody else changed it meanwhile.
const lock = {
  room: { name: room.name, etag: room.etag, locked: true },
  update_mask: { paths: ["locked"] },
};
console.log("locked", (await call(rooms, "UpdateRoom", lock)).locked);
await call(rooms, "UpdateRoom", lock).catch((error) => {
  console.log("again", grpc.status[error.code]);
});

await call(rooms, "DeleteRoom", { name: room.name, message: "See you." });
for (;;) {
  const { value } = await items.next();
  if (value.event?.room !== room.name) continue;
  console.log("event", value.event.sequence, value.event.type);
  if (value.event.type === "room.deleted") break;
}
stream.on("error", () => {}); // Cancelled, by us.
stream.cancel();
for (const client of [rooms, tokens, events]) client.close();
