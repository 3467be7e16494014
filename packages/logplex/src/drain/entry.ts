import type { Drain } from "./drain.ts";
import type { DrainInfo } from "./drain-set-options.ts";
import type { LedgerRecord, LedgerView } from "./ledger.ts";
import type { DrainDialect, DrainOptions } from "./options.ts";
import type { Ownership } from "./ownership.ts";
import type { DrainKind } from "./url.ts";

/** A drain of the set, whether it delivers or not. */
export interface Entry {
  readonly id: string;
  readonly token: string;
  readonly channel: string;
  readonly createdAt: number;
  updatedAt: number;
  url: string | undefined;
  options: DrainOptions;
  kind: DrainKind | undefined;
  dialect: DrainDialect | undefined;
  masked: string | undefined;
  /** Where delivery begins when there is no record of it. */
  fromSeq: number | undefined;
  /** Makes the drain; undefined while it is only reserved. */
  make: (() => Drain) | undefined;
  /** Undefined also while another process delivers it. */
  drain: Drain | undefined;
  ownership: Ownership | undefined;
  paused: boolean;
  /** The account as another process saved it. */
  elsewhere: LedgerRecord | undefined;
}

const EMPTY: LedgerView = Object.freeze({
  received: 0,
  delivered: 0,
  filtered: 0,
  pending: 0,
  lost: {},
  lostTotal: 0,
  ranges: [],
  replayed: 0,
});

/** The account as its owner saved it last; what is not booked yet waits. */
export function ledgerElsewhere(record: LedgerRecord | undefined): LedgerView {
  if (record === undefined) return EMPTY;
  const { received, delivered, filtered, replayed, lost, ranges } = record;
  const lostTotal = Object.values(lost).reduce((sum, count) => sum + count, 0);
  const pending = received - delivered - filtered - lostTotal;
  return { received, delivered, filtered, replayed, lost, lostTotal, ranges, pending };
}

/** A drain as listings show it. */
export function describe(entry: Entry): DrainInfo {
  const { id, token, channel, createdAt, updatedAt, kind, masked, dialect, options } = entry;
  return {
    id,
    token,
    channel,
    createdAt,
    updatedAt,
    ...(kind === undefined ? {} : { kind }),
    ...(masked === undefined ? {} : { url: masked }),
    ...(dialect === undefined ? {} : { dialect, ordered: (options.concurrency ?? 1) === 1 }),
    ...(options.filter === undefined ? {} : { filter: options.filter }),
  };
}
