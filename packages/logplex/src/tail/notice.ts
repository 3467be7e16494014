import { formatSeconds } from "../frame/timestamp.ts";
import { flagSet, NO_SD, type StoredMessage } from "../message.ts";

/** Text of the loss notice of a tail (spec/logplex.md §8.2). The count is never pluralised. */
export function tailLossText(lost: number, sinceMicros: number): string {
  return `Error L11 (tail buffer overflow): this session dropped ${lost} messages since ${formatSeconds(sinceMicros)}.`;
}

/** What a reader gets when history can't be read (spec/logplex.md §10.1). */
export const HISTORY_UNAVAILABLE = "L15: Error displaying log lines. Please try again.";

/** What a reader gets when a channel forbids tails (spec/logplex.md §8.2). */
export const TAILS_FORBIDDEN =
  "Error L20 (Tail sessions forbidden) Tail sessions for this app are forbidden due to log volume.";

/**
 * A message of the platform that is not stored: `heroku[logplex]`, PRI 172 unless said. Number 0:
 * it has no place in the channel.
 */
export function createNotice(text: string, micros: number, seq: number, pri = 172): StoredMessage {
  return {
    seq,
    id: `${Math.floor(micros / 1000)}-${seq}`,
    ts: micros,
    receivedAt: micros,
    pri,
    facility: pri >> 3,
    severity: pri & 7,
    source: "heroku",
    procid: "logplex",
    hostname: "",
    msgid: "",
    sd: NO_SD,
    body: Buffer.from(text),
    flags: flagSet(0),
  };
}
