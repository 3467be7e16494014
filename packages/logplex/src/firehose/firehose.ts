import type { Channel } from "../channel/channel.ts";
import type { Subscription } from "../channel/subscription.ts";
import type { Clock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { type FirehoseOptions, FirehoseReader } from "./reader.ts";

const MAX_READERS = 10;

/** Read in the turn that follows an append, so this bounds what one append may bring. */
const LAG = { messages: 65_536, bytes: 64 * 1024 * 1024 };

const BATCH = 512;

/**
 * The operator's stream of all channels (spec/logplex.md §6). Channels are followed only while
 * somebody reads it; otherwise it costs nothing.
 */
export class Firehose {
  readonly #clock: Clock;
  readonly #channels: () => Iterable<Channel>;
  readonly #allowed: () => boolean;
  readonly #onLoss: (count: number) => void;
  readonly #readers = new Set<FirehoseReader>();
  readonly #followed = new Map<Channel, Subscription>();

  constructor(context: {
    readonly clock: Clock;
    /** All there are. */
    readonly channels: () => Iterable<Channel>;
    /** Asked at every opening. */
    readonly allowed: () => boolean;
    /** Told of messages that a reader lost. */
    readonly onLoss: (count: number) => void;
  }) {
    this.#clock = context.clock;
    this.#channels = context.channels;
    this.#allowed = context.allowed;
    this.#onLoss = context.onLoss;
  }

  /** Throws `unavailable` while it is switched off, `too-many-tails` and `bad-query`. */
  open(options: FirehoseOptions): FirehoseReader {
    if (!this.#allowed())
      throw new LogplexError("unavailable", "The firehose is off; turn its switch on.");
    if (this.#readers.size >= MAX_READERS)
      throw new LogplexError(
        "too-many-tails",
        `The firehose has ${MAX_READERS} readers, the limit; close one.`,
      );
    const reader = new FirehoseReader(options, {
      now: this.#clock.now(),
      onLoss: this.#onLoss,
      onClose: (closed) => this.#left(closed),
    });
    this.#readers.add(reader);
    if (this.#readers.size === 1) for (const channel of this.#channels()) this.#follow(channel);
    if (options.signal?.aborted === true) reader.close();
    return reader;
  }

  #left(reader: FirehoseReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    for (const subscription of this.#followed.values()) subscription.close();
    this.#followed.clear();
  }

  /** A channel was made. */
  add(channel: Channel): void {
    if (this.#readers.size > 0) this.#follow(channel);
  }

  /** A channel is gone. */
  remove(channel: Channel): void {
    this.#followed.get(channel)?.close();
    this.#followed.delete(channel);
    for (const reader of this.#readers) reader.forget(channel.id);
  }

  #follow(channel: Channel): void {
    let scheduled = false;
    const look = (): void => {
      scheduled = false;
      while (this.#readers.size > 0 && subscription.cursor < channel.nextSeq) {
        const { messages, trimmed, nextSeq } = channel.read(subscription.cursor, BATCH);
        subscription.advance(nextSeq);
        for (const reader of this.#readers) reader.push(channel.id, messages, trimmed);
      }
      // What was held for this alone.
      channel.trim();
    };
    const subscription = channel.subscribe({
      lag: LAG,
      // Who writes does not wait for it.
      onAppend: () => {
        if (scheduled) return;
        scheduled = true;
        queueMicrotask(look);
      },
    });
    this.#followed.set(channel, subscription);
  }

  /** Ends all readers. */
  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}
