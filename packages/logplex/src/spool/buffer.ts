import type { ReadResult } from "../channel/read-result.ts";
import type { DrainStore } from "../drain/index.ts";
import type { StoredMessage } from "../message.ts";

/**
 * How far a message must have come before a write settles (spec/logplex.md §12.3): `local` is the
 * buffer itself, `quorum` its replicas as well.
 */
export type SpoolLevel = "local" | "quorum";

/** Keeps the messages of one channel beyond the memory of the process. */
export interface ChannelSpool {
  /** Settles when the members below can be read; undefined: they can already. */
  readonly ready?: Promise<void> | undefined;
  /** Marks one life of the numbering. */
  readonly epoch: string;
  /** The first message that is kept; equals `nextSeq` when there is none. */
  readonly firstSeq: number;
  /** The number after the last one that is kept. */
  readonly nextSeq: number;
  /** The newest messages, oldest first, at most so many and so large. */
  restore(
    lines: number,
    bytes: number,
  ): readonly StoredMessage[] | Promise<readonly StoredMessage[]>;
  /**
   * Keeps messages; they must survive the end of this process, though not yet of the machine. A
   * buffer with `follow` gives the numbers itself: those of the messages are the least it may give.
   * Returns how many it has no room for, if any: the newest.
   */
  append(messages: readonly StoredMessage[]): number | undefined;
  /**
   * Whether what is appended from now on is kept for later; otherwise only those who follow get it,
   * and the next append removes what was kept. Needed with `follow`, whose messages go through the
   * buffer in any case.
   */
  keep?(wanted: boolean): void;
  /** Settles when all that was appended survives the machine; undefined: it does already. */
  flushed(level?: SpoolLevel): Promise<void> | undefined;
  /** Reads from a number on. */
  read(fromSeq: number, maxMessages: number, maxBytes: number): ReadResult | Promise<ReadResult>;
  /** Says what is not needed any more. */
  trim(beforeSeq: number, oldestMicros: number): void;
  /**
   * Present when several processes share the buffer: `take` gets everything that anybody appends,
   * numbered and in order, beginning with what is kept (at most `lines` and `bytes` of it). The
   * promise settles when that was handed over.
   */
  follow?(
    take: (messages: readonly StoredMessage[]) => void,
    lines: number,
    bytes: number,
  ): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** What a buffer is started with. */
export interface BufferContext {
  readonly random: (size: number) => Uint8Array;
  /** Told when another process deleted a channel. */
  readonly onDelete?: ((channel: string) => void) | undefined;
}

/** A right that one process holds at a time. */
export interface Lease {
  /** Grows with every holder; what is saved under a smaller one is refused. */
  readonly fence: number;
  /** Aborts when the right is lost. */
  readonly lost: AbortSignal;
  /** Gives the right up. Idempotent. */
  release(): Promise<void>;
}

/** Where a {@link Logplex} keeps messages besides memory. */
export interface LogBuffer {
  /**
   * Called once, before anything else. Throws `unavailable` when the place is in use. A promise
   * settles when `channels` is complete.
   */
  start(context: BufferContext): void | Promise<void>;
  /** Channels that have messages from before. */
  channels(): readonly string[];
  open(channel: string): ChannelSpool;
  /** Removes what is kept of a channel. */
  delete(channel: string): Promise<void>;
  /** Positions and ledgers of drains, when the buffer keeps them too. */
  readonly drainStore?: DrainStore;
  /** Present when the buffer can wait for replicas, so that `durability: "quorum"` is possible. */
  readonly quorum?: boolean;
  /** Remembers frame ids for all processes; the promise tells whether the id is new. */
  claimFrame?(key: string, ttlMs: number): Promise<boolean>;
  /** Forgets a frame id, because what it named was not stored. */
  releaseFrame?(key: string): Promise<void>;
  /** Present when several processes share the buffer; undefined: somebody else has the right. */
  lease?(name: string): Promise<Lease | undefined>;
  /** False while what is appended can't be kept, as far as is known; absent: it always can. */
  readonly reachable?: boolean;
  /** Faults met so far, for metrics. */
  readonly faults: { readonly damagedRecords: number; readonly failedWrites: number };
  /** Idempotent. */
  close(): Promise<void>;
}
