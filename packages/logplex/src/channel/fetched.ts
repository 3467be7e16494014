import type { StoredMessage } from "../message.ts";
import type { ChannelSpool } from "../spool/buffer.ts";
import type { ReadResult } from "./read-result.ts";

/** How much one fetch from a shared buffer brings. */
const FETCH = { messages: 2048, bytes: 1024 * 1024 };

/** Messages older than memory, brought from a shared buffer for a reader that goes back so far. */
export class Fetched {
  #found: (ReadResult & { readonly fromSeq: number }) | undefined;

  /** Whether a message is among those that were brought, or known to be gone. */
  covers(seq: number): boolean {
    const found = this.#found;
    return found !== undefined && seq >= found.fromSeq && seq < found.nextSeq;
  }

  /** What was brought; nothing when it was not asked for. */
  read(fromSeq: number, maxMessages: number, maxBytes = Number.POSITIVE_INFINITY): ReadResult {
    const found = this.#found;
    if (found === undefined || !this.covers(fromSeq))
      return { messages: [], trimmed: 0, nextSeq: fromSeq };
    const first = found.messages[0]?.seq ?? found.nextSeq;
    const from = Math.max(fromSeq, first);
    const messages: StoredMessage[] = [];
    let bytes = 0;
    for (const message of found.messages.slice(from - first, from - first + maxMessages)) {
      bytes += message.body.length;
      if (bytes > maxBytes && messages.length > 0) break;
      messages.push(message);
    }
    return { messages, trimmed: from - fromSeq, nextSeq: from + messages.length };
  }

  /** Brings messages from a number on; `memorySeq` tells where memory begins afterwards. */
  async bring(spool: ChannelSpool, fromSeq: number, memorySeq: () => number): Promise<void> {
    const read = await spool.read(fromSeq, FETCH.messages, FETCH.bytes);
    const none = read.messages.length === 0;
    // Nothing of it is left: then the next message is in memory.
    const nextSeq = none ? Math.max(read.nextSeq, memorySeq()) : read.nextSeq;
    const trimmed = none ? nextSeq - fromSeq : read.trimmed;
    this.#found = { ...read, fromSeq, nextSeq, trimmed };
  }
}
