import type { StoredMessage } from "../message.ts";

/** The marked line that a test of a drain sends (spec/logplex.md §9.7). */
export function testMessage(token: string, now: number): StoredMessage {
  const micros = now * 1000;
  return {
    seq: 0,
    id: `${now}-0`,
    ts: micros,
    receivedAt: micros,
    pri: 174,
    facility: 21,
    severity: 6,
    source: "heroku",
    procid: "logplex",
    hostname: "",
    msgid: "",
    sd: [],
    body: Buffer.from(`This is a test of drain '${token}'.`),
    flags: new Set(),
  };
}
