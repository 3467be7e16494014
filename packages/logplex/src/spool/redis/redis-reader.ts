import type { ReadResult } from "../../channel/read-result.ts";
import type { StoredMessage } from "../../message.ts";
import { decodeEntry, type Entry } from "../shared/entry.ts";
import { entriesOf } from "./entry.ts";

/** Entries that are fetched at a time. */
export const PAGE = 16;

/** Reads the stream of a channel. */
export class RedisReader {
  readonly #stream: string;
  readonly #command: (command: string, ...args: string[]) => Promise<unknown>;
  readonly #faults: { damagedRecords: number };

  constructor(options: {
    readonly stream: string;
    readonly command: (command: string, ...args: string[]) => Promise<unknown>;
    readonly faults: { damagedRecords: number };
  }) {
    this.#stream = options.stream;
    this.#command = options.command;
    this.#faults = options.faults;
  }

  /** Entries from a position on, at most so many. */
  async page(from: string, count: number): Promise<Entry[]> {
    const reply = await this.#command("XRANGE", this.#stream, from, "+", "COUNT", String(count));
    return entriesOf(reply);
  }

  /** The newest messages, oldest first, at most so many and so large. */
  async restore(lines: number, bytes: number): Promise<readonly StoredMessage[]> {
    const groups: (readonly StoredMessage[])[] = [];
    let count = 0;
    let size = 0;
    for (let before = "+"; count < lines && size <= bytes; ) {
      const reply = await this.#command(
        "XREVRANGE",
        this.#stream,
        before,
        "-",
        "COUNT",
        String(PAGE),
      );
      const page = entriesOf(reply);
      for (const entry of page) {
        const messages = decodeEntry(entry, this.#faults);
        groups.push(messages);
        count += messages.length;
        for (const { body } of messages) size += body.length;
      }
      const last = page[page.length - 1];
      if (page.length < PAGE || last === undefined) break;
      before = `(${last.first}-0`;
    }
    const all = groups.reverse().flat();
    let from = Math.max(0, all.length - lines);
    for (let index = all.length - 1, kept = 0; index >= from; index -= 1) {
      kept += all[index]!.body.length;
      if (kept > bytes) from = index + 1;
    }
    return all.slice(from);
  }

  /** Reads from a number on; stops before a hole, so that the loss is exact. */
  async read(fromSeq: number, maxMessages: number, maxBytes: number): Promise<ReadResult> {
    const reply = await this.#command(
      "XREVRANGE",
      this.#stream,
      String(fromSeq),
      "-",
      "COUNT",
      "1",
    );
    const [holder] = entriesOf(reply);
    let from =
      holder === undefined || holder.first + holder.count <= fromSeq
        ? `${fromSeq}-0`
        : `${holder.first}-0`;
    const messages: StoredMessage[] = [];
    let seq = fromSeq;
    let trimmed = 0;
    let bytes = 0;
    for (;;) {
      const page = await this.page(from, 2);
      for (const entry of page) {
        if (entry.first > seq) {
          // A hole: a read stops before it so that the loss is exact.
          if (messages.length > 0) return { messages, trimmed, nextSeq: seq };
          trimmed += entry.first - seq;
          seq = entry.first;
        }
        for (const message of decodeEntry(entry, this.#faults)) {
          if (message.seq < seq) continue;
          if (message.seq > seq) {
            if (messages.length > 0) return { messages, trimmed, nextSeq: seq };
            trimmed += message.seq - seq;
          }
          bytes += message.body.length;
          if (messages.length >= maxMessages || (bytes > maxBytes && messages.length > 0))
            return { messages, trimmed, nextSeq: seq };
          messages.push(message);
          seq = message.seq + 1;
        }
      }
      const last = page[page.length - 1];
      if (page.length < 2 || last === undefined) break;
      from = `(${last.first}-0`;
    }
    return { messages, trimmed, nextSeq: seq };
  }
}
