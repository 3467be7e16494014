import { formatTimestamp } from "../frame/timestamp.ts";
import {
  flagSet,
  type MessageFlag,
  type SplitInfo,
  type StoredMessage,
  type StructuredElement,
} from "../message.ts";
import type { Block } from "./block.ts";
import type { Head } from "./head.ts";

/** A message read from a block; what costs something is made when it is asked for. */
export class RingMessage implements StoredMessage {
  // Two fields and no copies of numbers: a busy reader makes millions of these a second.
  readonly #block: Block;
  readonly #index: number;
  #body: Uint8Array | undefined;

  constructor(block: Block, index: number) {
    this.#block = block;
    this.#index = index;
    this.#body = undefined;
  }

  get seq(): number {
    return this.#block.firstSeq + this.#index;
  }

  get ts(): number {
    return this.#block.ts[this.#index]!;
  }

  get receivedAt(): number {
    return this.#block.receivedAt[this.#index]!;
  }

  /** What it shares with its neighbours: the same object for the same octets. */
  get head(): Head {
    return this.#block.heads[this.#index]!;
  }

  get pri(): number {
    return this.head.pri;
  }

  get source(): string {
    return this.head.source;
  }

  get procid(): string {
    return this.head.procid;
  }

  get hostname(): string {
    return this.head.hostname;
  }

  get msgid(): string {
    return this.head.msgid;
  }

  get sd(): readonly StructuredElement[] {
    return this.head.sd;
  }

  get flags(): ReadonlySet<MessageFlag> {
    return flagSet(this.#block.flags[this.#index]!);
  }

  get id(): string {
    return `${Math.floor(this.receivedAt / 1000)}-${this.seq}`;
  }

  get tsText(): string | undefined {
    return this.#block.texts?.get(this.#index);
  }

  get facility(): number {
    return this.head.pri >> 3;
  }

  get severity(): number {
    return this.head.pri & 7;
  }

  get split(): SplitInfo | undefined {
    return this.#block.splits?.get(this.#index);
  }

  get body(): Uint8Array {
    if (this.#body === undefined) {
      const block = this.#block;
      this.#body = block.data.subarray(this.bodyStart, this.bodyEnd);
    }
    return this.#body;
  }

  /** The buffer that holds the body among others; not to be kept. */
  get data(): Buffer {
    return this.#block.data;
  }

  /** Where the body begins in `data`. */
  get bodyStart(): number {
    return this.#block.starts[this.#index]!;
  }

  /** Where the body ends in `data`. */
  get bodyEnd(): number {
    return this.#block.ends[this.#index]!;
  }

  /** Whether it has neither a text of its time nor is a piece of a long line, as most. */
  get isPlain(): boolean {
    return this.#block.texts === undefined && this.#block.splits === undefined;
  }

  /** The fields of spec/logplex.md §2.1, as `--json` prints them. */
  toJSON(): Record<string, unknown> {
    return messageToJson(this);
  }
}

/** Bytes of a body, without making a view of it. */
export function bodyLengthOf(message: StoredMessage): number {
  return message instanceof RingMessage ? message.bodyEnd - message.bodyStart : message.body.length;
}

// What JSON leaves raw though readers may take it for the end of a line, or terminals for a command.
const RAW_UNSAFE = /[\x7f-\x9f\u2028\u2029]/g;
const RAW_UNSAFE_TEST = /[\x7f-\x9f\u2028\u2029]/;

/** JSON on one line in every reading: no octet of a body can end it or reach a terminal as control. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value);
  if (!RAW_UNSAFE_TEST.test(text)) return text;
  return text.replace(RAW_UNSAFE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** One message as a plain object: times as text, body as text, absent fields left out. */
export function messageToJson(message: StoredMessage): Record<string, unknown> {
  const { body } = message;
  return {
    seq: message.seq,
    id: message.id,
    ts: formatTimestamp(message.ts),
    ...(message.tsText === undefined ? {} : { tsText: message.tsText }),
    receivedAt: formatTimestamp(message.receivedAt),
    pri: message.pri,
    facility: message.facility,
    severity: message.severity,
    source: message.source,
    procid: message.procid,
    ...(message.hostname === "" ? {} : { hostname: message.hostname }),
    ...(message.msgid === "" ? {} : { msgid: message.msgid }),
    ...(message.sd.length === 0 ? {} : { sd: message.sd }),
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"),
    ...(message.flags.size === 0 ? {} : { flags: [...message.flags] }),
    ...(message.split === undefined ? {} : { split: message.split }),
  };
}
