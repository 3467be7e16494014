import type { StoredMessage } from "../../message.ts";
import { encodeRecord } from "../record.ts";

/** Most of one batch (spec/logplex.md §12.2). */
const BATCH_MESSAGES = 200;
const BATCH_BYTES = 64 * 1024;

/** Messages that wait to be stored together. */
export interface Part {
  readonly messages: readonly StoredMessage[];
  readonly octets: Buffer;
}

/** What waits to be stored, oldest first, up to a limit. */
export class Pending {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #parts: Part[] = [];
  #messages = 0;
  #bytes = 0;

  constructor(limits: { readonly maxPendingMessages: number; readonly maxPendingBytes: number }) {
    this.#maxMessages = limits.maxPendingMessages;
    this.#maxBytes = limits.maxPendingBytes;
  }

  get first(): Part | undefined {
    return this.#parts[0];
  }

  get empty(): boolean {
    return this.#parts.length === 0;
  }

  /** The first so many parts, which stay. */
  peek(count: number): readonly Part[] {
    return this.#parts.slice(0, count);
  }

  /** Takes what there is room for. Returns how many. */
  add(messages: readonly StoredMessage[]): number {
    let part: StoredMessage[] = [];
    let octets: Buffer[] = [];
    let size = 0;
    let kept = 0;
    const cut = (): void => {
      if (part.length === 0) return;
      this.#parts.push({ messages: part, octets: Buffer.concat(octets) });
      part = [];
      octets = [];
      size = 0;
    };
    for (const message of messages) {
      if (this.#messages >= this.#maxMessages || this.#bytes >= this.#maxBytes) break;
      const record = encodeRecord(message);
      if (part.length >= BATCH_MESSAGES || size + record.length > BATCH_BYTES) cut();
      part.push(message);
      octets.push(record);
      size += record.length;
      kept += 1;
      this.#messages += 1;
      this.#bytes += record.length;
    }
    cut();
    return kept;
  }

  /** The first parts are stored. */
  shift(count = 1): void {
    for (const { messages, octets } of this.#parts.splice(0, count)) {
      this.#messages -= messages.length;
      this.#bytes -= octets.length;
    }
  }
}
