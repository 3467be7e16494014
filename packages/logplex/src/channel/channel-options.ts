import type { Clock } from "../clock.ts";
import type { Retention } from "../ring/ring.ts";
import type { ChannelSpool, SpoolLevel } from "../spool/buffer.ts";
import type { FilterOptions } from "./filter.ts";
import type { SearchWork } from "./search.ts";

/** Options of {@link Channel.history}. */
export interface HistoryOptions extends FilterOptions {
  /** How many of the newest matching messages; default 100. Applied after the filter. */
  readonly limit?: number | undefined;
  /** Only messages with a smaller number; default: all. */
  readonly beforeSeq?: number | undefined;
  /** How much may be looked at for it; default 200,000 messages or 64 MiB. */
  readonly work?: Partial<SearchWork> | undefined;
}

/** Loss before the input, as a shuttle reports it (spec/logplex.md §5.1). */
export interface ProducerLoss {
  /** `dropped`: its buffer was full (L12). `lost`: it could not deliver (L13). */
  readonly cause: "dropped" | "lost";
  readonly count: number;
}

/** What a channel is made with. */
export interface ChannelOptions {
  readonly clock: Clock;
  readonly retention: Retention;
  /** Default 50. */
  readonly maxTails?: number | undefined;
  /** Asked at every new tail; default: yes. */
  readonly tailsAllowed?: (() => boolean) | undefined;
  /** Told of messages that a tail lost. */
  readonly onTailLoss?: ((count: number) => void) | undefined;
  /** Marks one life of the numbering; see {@link Channel.epoch}. */
  readonly epoch?: string | undefined;
  /** Keeps messages beyond memory. */
  readonly spool?: ChannelSpool | undefined;
  /** What promises of writes wait for; default `local`. */
  readonly durability?: "memory" | SpoolLevel | undefined;
}

/** What may change about a channel while it lives. */
export interface ChannelSettings {
  /** Keep messages for history; otherwise they only pass through. Default true. */
  readonly storing?: boolean;
  /** Allow tails; default true. */
  readonly tails?: boolean;
  readonly retention?: Partial<Retention>;
  /**
   * Replaces personal data before it is stored or delivered, as the stage `redact` does: for
   * instance `email,ip,card,/token=\S+/`; `""` for nothing. Throws `bad-query`.
   */
  readonly redact?: string;
  /**
   * Groups channels in the metrics of what comes in: 1 to 32 letters, digits, `_`, `.` and `-`;
   * default `default`. Beyond 20 classes the rest is counted as `other`.
   */
  readonly class?: string;
}
