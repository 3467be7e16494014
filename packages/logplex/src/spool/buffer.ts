import type { ReadResult } from "../channel/read-result.ts";
import type { DrainStore } from "../drain/index.ts";
import type { StoredMessage } from "../message.ts";

/** Keeps the messages of one channel beyond the memory of the process. */
export interface ChannelSpool {
  /** Marks one life of the numbering. */
  readonly epoch: string;
  /** The first message that is kept; equals `nextSeq` when there is none. */
  readonly firstSeq: number;
  /** The number after the last one that is kept. */
  readonly nextSeq: number;
  /** The newest messages, oldest first, at most so many and so large. */
  restore(lines: number, bytes: number): readonly StoredMessage[];
  /** Keeps messages; they must survive the end of this process, though not yet of the machine. */
  append(messages: readonly StoredMessage[]): void;
  /** Settles when all that was appended survives the machine; undefined: it does already. */
  flushed(): Promise<void> | undefined;
  /** Reads from a number on. */
  read(fromSeq: number, maxMessages: number, maxBytes: number): ReadResult;
  /** Says what is not needed any more. */
  trim(beforeSeq: number, oldestMicros: number): void;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Where a {@link Logplex} keeps messages besides memory. */
export interface LogBuffer {
  /** Called once, before anything else. Throws `unavailable` when the place is in use. */
  start(context: { readonly random: (size: number) => Uint8Array }): void;
  /** Channels that have messages from before. */
  channels(): readonly string[];
  open(channel: string): ChannelSpool;
  /** Removes what is kept of a channel. */
  delete(channel: string): Promise<void>;
  /** Positions and ledgers of drains, when the buffer keeps them too. */
  readonly drainStore?: DrainStore;
  /** Faults met so far, for metrics. */
  readonly faults: { readonly damagedRecords: number; readonly failedWrites: number };
  /** Idempotent. */
  close(): Promise<void>;
}
