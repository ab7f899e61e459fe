// A program in TypeScript on the library's declarations: `npm run check` in web/ compiles it, and
// the lines that are wrong must be refused.

import { Connection, Refused, look } from "plenum/connection.js";
import type { State } from "plenum/connection.js";
import type { Participant } from "plenum/roster.js";

const connection = new Connection({
  url: "wss://meet.example/v1/connect",
  room: "demo",
  displayName: "Ada",
  getToken: async () => (await fetch("/token")).text(),
});

const names = (participants: Iterable<Participant>): string[] => [...participants].map(({ displayName }) => displayName);

connection.on("state", (state: State) => console.log(state, connection.room?.locked, connection.permissions?.admin));
connection.on("waiting", (waiting) => console.log(names(waiting)));
connection.on("roster", () => console.log(names(connection.roster.participants.values())));
connection.on("ended", ({ reason, message, port }) => console.log(reason, message, port?.toFixed()));
// @ts-expect-error there is no such event
connection.on("weather", () => {});
// @ts-expect-error a state is one of a few words
const state: State = "asleep";
// @ts-expect-error a room is needed
new Connection({ url: "wss://meet.example/v1/connect", displayName: "Ada" });

export async function say(text: string): Promise<number> {
  try {
    const { recipient_count } = await connection.sendData("chat", { text }, { keep: true });
    await connection.update({ attributes: { hand: null } });
    return recipient_count;
  } catch (error) {
    if (error instanceof Refused) console.log(error.reason, error.field);
    return 0;
  }
}

export const seen: Promise<number> = look({ url: "wss://meet.example/v1/connect", room: "demo" }).then((lobby) => lobby.count);
export { state };
