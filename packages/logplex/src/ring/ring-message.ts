import { formatTimestamp } from "../frame/timestamp.ts";
import {
  flagSet,
  type MessageFlag,
  type SplitInfo,
  type StoredMessage,
  type StructuredElement,
} from "../message.ts";
import type { Block } from "./block.ts";

/** A message read from a block; what costs something is made when it is asked for. */
export class RingMessage implements StoredMessage {
  readonly seq: number;
  readonly ts: number;
  readonly receivedAt: number;
  readonly pri: number;
  readonly source: string;
  readonly procid: string;
  readonly hostname: string;
  readonly msgid: string;
  readonly sd: readonly StructuredElement[];
  readonly flags: ReadonlySet<MessageFlag>;
  readonly #block: Block;
  #body: Uint8Array | undefined;

  constructor(block: Block, index: number) {
    const head = block.heads[index]!;
    this.seq = block.firstSeq + index;
    this.ts = block.ts[index]!;
    this.receivedAt = block.receivedAt[index]!;
    this.pri = head.pri;
    this.source = head.source;
    this.procid = head.procid;
    this.hostname = head.hostname;
    this.msgid = head.msgid;
    this.sd = head.sd;
    this.flags = flagSet(block.flags[index]!);
    this.#block = block;
    this.#body = undefined;
  }

  get id(): string {
    return `${Math.floor(this.receivedAt / 1000)}-${this.seq}`;
  }

  get tsText(): string | undefined {
    return this.#block.texts?.get(this.seq - this.#block.firstSeq);
  }

  get facility(): number {
    return this.pri >> 3;
  }

  get severity(): number {
    return this.pri & 7;
  }

  get split(): SplitInfo | undefined {
    return this.#block.splits?.get(this.seq - this.#block.firstSeq);
  }

  get body(): Uint8Array {
    if (this.#body === undefined) {
      const block = this.#block;
      const index = this.seq - block.firstSeq;
      this.#body = block.data.subarray(block.starts[index], block.ends[index]);
    }
    return this.#body;
  }

  /** Bytes of the body, without making a view. */
  get bodyLength(): number {
    const index = this.seq - this.#block.firstSeq;
    return this.#block.ends[index]! - this.#block.starts[index]!;
  }

  /** Copies the body to `target` at `at` and returns the offset after it. */
  copyBody(target: Buffer, at: number): number {
    const block = this.#block;
    const index = this.seq - block.firstSeq;
    return at + block.data.copy(target, at, block.starts[index], block.ends[index]);
  }

  /** The fields of spec/logplex.md §2.1, as `--json` prints them. */
  toJSON(): Record<string, unknown> {
    return messageToJson(this);
  }
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
