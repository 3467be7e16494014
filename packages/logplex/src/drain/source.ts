import type { StoredMessage } from "../message.ts";

/** Messages of a channel from a number on. */
export interface SourceRead {
  readonly messages: readonly StoredMessage[];
  /** Exactly how many messages between the asked and the first available one are gone. */
  readonly trimmed: number;
  /** Where the next read goes on. */
  readonly nextSeq: number;
}

/** A hold on a channel: messages from the last `advance` on stay readable within the lag. */
export interface SourceHold {
  advance(seq: number): void;
  close(): void;
}

/** What a drain needs of a channel; `Channel` fulfils it. */
export interface DrainSource {
  /** The id of the app. */
  readonly id: string;
  /** The number that the next message gets. */
  readonly nextSeq: number;
  /** The first message that can be read. */
  readonly firstSeq: number;
  /**
   * Changes when numbering starts anew, for instance because a memory ring was lost in a restart.
   * Without it a cursor beyond `nextSeq` is the only sign of that.
   */
  readonly epoch?: string | undefined;
  /** Whether a message must be fetched before it can be read, since only a shared buffer has it. */
  isAway?(seq: number): boolean;
  /** Brings such messages to where `read` finds them. */
  fetch?(fromSeq: number): Promise<void>;
  read(fromSeq: number, maxMessages: number, maxBytes?: number): SourceRead;
  /** Bytes of bodies between a number and the newest message, for the lag that health shows. */
  bytesFrom?(seq: number): number;
  subscribe(options: {
    readonly fromSeq?: number;
    readonly onAppend: (nextSeq: number) => void;
    readonly lag?: { readonly messages?: number; readonly bytes?: number };
  }): SourceHold;
}

/** First message received at or after a time in ms. */
export async function firstSince(source: DrainSource, since: number | undefined): Promise<number> {
  if (since === undefined) return source.firstSeq;
  let low = source.firstSeq;
  let high = source.nextSeq;
  while (low < high) {
    const middle = (low + high) >> 1;
    while (source.isAway?.(middle) === true) await source.fetch?.(middle);
    const [message] = source.read(middle, 1).messages;
    if (message && message.receivedAt < since * 1000) low = middle + 1;
    else high = middle;
  }
  return low;
}
