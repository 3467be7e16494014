import type { DrainSource } from "../drain/source.ts";
import type { StoredMessage } from "../message.ts";

/** A channel for tests: keeps the newest messages in an array. */
export interface MemorySource extends DrainSource {
  /** Appends one message per text and tells the followers once. Returns the first number. */
  append(...messages: readonly (string | Partial<StoredMessage>)[]): number;
  /** Followers that have not closed. */
  readonly followers: number;
}

/** Makes a source whose messages carry times of `now` (ms). Keeps `capacity` of them. */
export function createMemorySource(options: {
  readonly id?: string;
  readonly now: () => number;
  readonly capacity?: number;
  readonly epoch?: string;
}): MemorySource {
  const capacity = options.capacity ?? 20_000;
  const followers = new Set<(nextSeq: number) => void>();
  let messages: StoredMessage[] = [];
  let nextSeq = 1;
  const firstSeq = () => nextSeq - messages.length;
  return {
    id: options.id ?? "test-app",
    epoch: options.epoch,
    get nextSeq() {
      return nextSeq;
    },
    get firstSeq() {
      return firstSeq();
    },
    get followers() {
      return followers.size;
    },
    append(...items) {
      const first = nextSeq;
      for (const item of items) messages.push(createMessage(item, nextSeq++, options.now()));
      if (messages.length > capacity) messages = messages.slice(-capacity);
      for (const tell of followers) tell(nextSeq);
      return first;
    },
    read(fromSeq, maxMessages, maxBytes = Number.POSITIVE_INFINITY) {
      const start = Math.max(fromSeq, firstSeq());
      const trimmed = Math.max(0, Math.min(start, nextSeq) - fromSeq);
      const found: StoredMessage[] = [];
      let bytes = 0;
      for (const message of messages.slice(start - firstSeq(), start - firstSeq() + maxMessages)) {
        bytes += message.body.length;
        if (bytes > maxBytes && found.length > 0) break;
        found.push(message);
      }
      return { messages: found, trimmed, nextSeq: start + found.length };
    },
    bytesFrom(seq) {
      let bytes = 0;
      for (const message of messages) if (message.seq >= seq) bytes += message.body.length;
      return bytes;
    },
    subscribe({ onAppend }) {
      followers.add(onAppend);
      return { advance: () => undefined, close: () => followers.delete(onAppend) };
    },
  };
}

function createMessage(
  item: string | Partial<StoredMessage>,
  seq: number,
  now: number,
): StoredMessage {
  const fields: Partial<StoredMessage> =
    typeof item === "string" ? { body: Buffer.from(item) } : item;
  const pri = fields.pri ?? 190;
  return {
    id: `${now}-${seq}`,
    ts: now * 1000,
    receivedAt: now * 1000,
    facility: pri >> 3,
    severity: pri & 7,
    source: "app",
    procid: "web.1",
    hostname: "",
    msgid: "",
    sd: [],
    body: new Uint8Array(),
    flags: new Set(),
    ...fields,
    pri,
    seq,
  };
}
