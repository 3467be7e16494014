/**
 * Why a message never reached the receiver.
 *
 * | cause | meaning |
 * | --- | --- |
 * | `overflow` | the drain fell further behind than its buffer |
 * | `trimmed` | gone before the drain could read it: a gap after a restart |
 * | `expired` | the receiver failed for longer than messages may wait |
 * | `held` | the receiver refused (401, 403, 404, 410) for that long |
 * | `blocked` | the address is not allowed, for that long |
 * | `rejected` | the receiver called the message bad (400, 422, partial success) |
 * | `too-large` | a single message was answered 413 |
 * | `spool` | the disk spool was full or a record was damaged |
 * | `disabled` | the drain was switched off while messages waited |
 * | `removed` | the drain was removed or the process closed while messages waited |
 * | `undeliverable` | the destination can't take it, such as an oversize datagram |
 */
export type LossCause =
  | "overflow"
  | "trimmed"
  | "expired"
  | "held"
  | "blocked"
  | "rejected"
  | "too-large"
  | "spool"
  | "disabled"
  | "removed"
  | "undeliverable";

/** Messages lost in one go; both numbers are inclusive. */
export interface LostRange {
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Messages lost in it; less than the distance when others of the range arrived. */
  readonly count: number;
  readonly cause: LossCause;
  /** ms since the epoch. */
  readonly at: number;
}

/**
 * Account of one drain. At every moment
 * `received = delivered + sum of lost + filtered + pending` (spec/logplex.md §10.2).
 */
export interface LedgerView {
  readonly received: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly pending: number;
  readonly lost: Readonly<Partial<Record<LossCause, number>>>;
  /** Sum of `lost`. */
  readonly lostTotal: number;
  /** Newest 256 ranges, oldest first; neighbours of one cause are joined. */
  readonly ranges: readonly LostRange[];
  /** Messages sent once more by a replay; they stay counted where they were. */
  readonly replayed: number;
}

/** What of a ledger outlives the process. */
export interface LedgerRecord {
  readonly received: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly replayed: number;
  readonly lost: Partial<Record<LossCause, number>>;
  readonly ranges: readonly LostRange[];
  /** Loss the receiver has not been told of. */
  readonly unannounced: { readonly count: number; readonly sinceUs: number } | undefined;
}

const MAX_RANGES = 256;

/** Counts what becomes of each message; `pending` is kept by the drain that holds them. */
export class Ledger {
  received = 0;
  delivered = 0;
  filtered = 0;
  replayed = 0;
  readonly #lost: Partial<Record<LossCause, number>> = {};
  readonly #ranges: LostRange[] = [];
  #unannounced: { count: number; sinceUs: number } | undefined;
  #unreported: { count: number; sinceUs: number } | undefined;

  /** Takes over what an earlier process left. */
  restore(record: LedgerRecord): void {
    this.received = record.received;
    this.delivered = record.delivered;
    this.filtered = record.filtered;
    this.replayed = record.replayed;
    Object.assign(this.#lost, record.lost);
    this.#ranges.push(...record.ranges);
    this.#unannounced = record.unannounced && { ...record.unannounced };
  }

  get lostTotal(): number {
    return Object.values(this.#lost).reduce((sum, count) => sum + count, 0);
  }

  /** Adds a loss; `count` is the number of messages between the two, inclusive, that it concerns. */
  lose(cause: LossCause, fromSeq: number, toSeq: number, count: number, nowMs: number): void {
    if (count <= 0) return;
    this.#lost[cause] = (this.#lost[cause] ?? 0) + count;
    const last = this.#ranges[this.#ranges.length - 1];
    if (last && last.cause === cause && last.toSeq + 1 === fromSeq) {
      this.#ranges[this.#ranges.length - 1] = { ...last, toSeq, count: last.count + count };
    } else {
      this.#ranges.push({ fromSeq, toSeq, count, cause, at: nowMs });
      if (this.#ranges.length > MAX_RANGES) this.#ranges.shift();
    }
    this.#unannounced = grow(this.#unannounced, count, nowMs);
    this.#unreported = grow(this.#unreported, count, nowMs);
  }

  /** Loss that the next frame must announce; it stays until {@link announced}. */
  get unannounced(): { readonly count: number; readonly sinceUs: number } | undefined {
    return this.#unannounced;
  }

  /** The receiver took a frame that announced `count` losses; later ones stay. */
  announced(count: number, nowMs: number): void {
    const rest = (this.#unannounced?.count ?? 0) - count;
    this.#unannounced = rest > 0 ? { count: rest, sinceUs: nowMs * 1000 } : undefined;
  }

  /** Loss since the last call, for the notice in history and tails. */
  takeUnreported(): { readonly count: number; readonly sinceUs: number } | undefined {
    const found = this.#unreported;
    this.#unreported = undefined;
    return found;
  }

  view(pending: number): LedgerView {
    return {
      received: this.received,
      delivered: this.delivered,
      filtered: this.filtered,
      pending,
      lost: { ...this.#lost },
      lostTotal: this.lostTotal,
      ranges: [...this.#ranges],
      replayed: this.replayed,
    };
  }

  record(): LedgerRecord {
    return {
      received: this.received,
      delivered: this.delivered,
      filtered: this.filtered,
      replayed: this.replayed,
      lost: { ...this.#lost },
      ranges: [...this.#ranges],
      unannounced: this.#unannounced && { ...this.#unannounced },
    };
  }
}

function grow(
  known: { count: number; sinceUs: number } | undefined,
  count: number,
  nowMs: number,
): { count: number; sinceUs: number } {
  return known
    ? { count: known.count + count, sinceUs: known.sinceUs }
    : { count, sinceUs: nowMs * 1000 };
}
