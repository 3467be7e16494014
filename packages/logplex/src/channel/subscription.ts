/** How far a reader may fall behind before it loses the oldest messages. */
export interface Lag {
  readonly messages: number;
  readonly bytes: number;
}

/** Options of {@link Channel.subscribe}. */
export interface SubscribeOptions {
  /** First message wanted; default: the next one to come. */
  readonly fromSeq?: number | undefined;
  /**
   * Called after every batch that was appended, with the number that the next message will get.
   * It must be quick and must not throw: read later with `channel.read`.
   */
  readonly onAppend: (nextSeq: number) => void;
  /** Default 8,192 messages or 8 MiB of bodies. Messages that history shows are never lost. */
  readonly lag?: Partial<Lag> | undefined;
}

/** A reader's hold on a channel: messages from `cursor` on stay readable within its lag. */
export interface Subscription {
  /** First message that is still wanted. */
  readonly cursor: number;
  /** Gives up what lies before `seq`. */
  advance(seq: number): void;
  /** Idempotent. */
  close(): void;
}

/** Default hold of a subscription (spec/logplex.md §9.3, buffer per drain). */
export const DEFAULT_LAG: Lag = { messages: 8192, bytes: 8 * 1024 * 1024 };
