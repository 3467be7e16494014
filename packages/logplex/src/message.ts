/** What the router noticed about a message (spec/logplex.md §2.1). */
export type MessageFlag = "badTimestamp" | "unparsed" | "truncated" | "split" | "notUtf8";

/** One element of RFC 5424 structured data; values are unescaped, order and repeats are kept. */
export interface StructuredElement {
  readonly id: string;
  readonly params: readonly { readonly name: string; readonly value: string }[];
}

/** Says which piece of a long line a message is (spec/logplex.md §4.6). */
export interface SplitInfo {
  /** The same for all pieces of one line, unique in its channel. */
  readonly group: string;
  /** 1-based. */
  readonly index: number;
  readonly count: number;
}

/**
 * One message of a channel (spec/logplex.md §2.1). Instances are immutable. `body` may be a view
 * of a buffer of at most 64 KiB that neighbours share: copy it when it is kept for long.
 */
export interface StoredMessage {
  /** Strictly increasing by one per channel, from 1; a hole means real loss. */
  readonly seq: number;
  /** `<ms>-<n>`, unique per channel, usable as id of a server-sent event. */
  readonly id: string;
  /** µs since the epoch, by the producer; the time of receipt when `badTimestamp` is set. */
  readonly ts: number;
  /** The producer's text of the time, kept when it is not the canonical form of `ts`. */
  readonly tsText?: string | undefined;
  /** µs since the epoch. */
  readonly receivedAt: number;
  /** 0–191. */
  readonly pri: number;
  /** 0–23. */
  readonly facility: number;
  /** 0–7. */
  readonly severity: number;
  /** `app`, `heroku` or an add-on: the name of the token, never a field of the frame. */
  readonly source: string;
  /** `web.1`, `router`, `api`; `""` when unknown. */
  readonly procid: string;
  /** `""` when unknown. */
  readonly hostname: string;
  /** `""` when unknown. */
  readonly msgid: string;
  /** Empty when there is none. */
  readonly sd: readonly StructuredElement[];
  readonly body: Uint8Array;
  readonly flags: ReadonlySet<MessageFlag>;
  readonly split?: SplitInfo | undefined;
}

/** The bits in which flags are kept. */
export const FLAG = {
  badTimestamp: 1,
  unparsed: 2,
  truncated: 4,
  split: 8,
  notUtf8: 16,
} as const satisfies Record<MessageFlag, number>;

const names = Object.keys(FLAG) as MessageFlag[];
const sets: readonly ReadonlySet<MessageFlag>[] = Array.from(
  { length: 32 },
  (_, bits) => new Set(names.filter((name) => bits & FLAG[name])),
);

/** The shared set for a combination of bits. */
export function flagSet(bits: number): ReadonlySet<MessageFlag> {
  return sets[bits & 31]!;
}

/** The bits of a set. */
export function flagBits(flags: Iterable<MessageFlag>): number {
  let bits = 0;
  for (const flag of flags) bits |= FLAG[flag];
  return bits;
}

/** No structured data. */
export const NO_SD: readonly StructuredElement[] = Object.freeze([]);
