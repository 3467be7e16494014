import type { Clock } from "../clock.ts";
import type { Lease } from "../spool/buffer.ts";
import type { CustomDrainKind } from "./create-output.ts";
import type { DrainState } from "./health.ts";
import type { Resolve } from "./net/lookup.ts";
import type { DrainPolicy } from "./net/policy.ts";
import type { DrainNotice } from "./notices.ts";
import type { DrainDialect, DrainOptions } from "./options.ts";
import type { DrainSource } from "./source.ts";
import type { SpoolOptions } from "./store/drain-spool.ts";
import type { DrainStore } from "./store/drain-store.ts";
import type { HttpTimeouts } from "./transport/http.ts";
import type { SendOutcome } from "./transport/transport.ts";
import type { DrainKind } from "./url.ts";

/** Change of a drain's state. */
export interface DrainEvent {
  readonly drain: string;
  readonly channel: string;
  readonly from: DrainState;
  readonly to: DrainState;
}

/** One try of a batch. */
export interface DrainTry {
  readonly drain: string;
  /** How long it took. */
  readonly seconds: number;
  readonly outcome: SendOutcome["kind"];
  readonly messages: number;
  /** Age of the first and the last message of the batch at the end of the try. */
  readonly firstAgeSeconds: number;
  readonly lastAgeSeconds: number;
}

/** What a {@link DrainSet} is made with. */
export interface DrainSetOptions {
  /** The channel of an id. */
  readonly source: (channel: string) => DrainSource;
  /** Writes a line of the platform (`heroku[logplex]`) into a channel. */
  readonly notify?: (channel: string, notice: DrainNotice) => void;
  readonly onState?: (event: DrainEvent) => void;
  /** Told of every try of every drain, for metrics. */
  readonly onTry?: (facts: DrainTry) => void;
  /** What the operator allows; default: public addresses over TLS, and syslog. */
  readonly policy?: DrainPolicy;
  /** Keeps positions and ledgers over restarts; default: memory. */
  readonly store?: DrainStore;
  /** Where drains with `onFull: "spool"` keep what waits; without it that option is refused. */
  readonly spool?: SpoolOptions;
  /** Asks for the right to deliver a drain, where several processes have the same drains. */
  readonly lease?: (drain: string) => Promise<Lease | undefined>;
  readonly clock?: Clock;
  /** 0 ≤ x < 1; for the jitter. */
  readonly random?: () => number;
  readonly resolve?: Resolve;
  /** Default 20. */
  readonly maxPerChannel?: number;
  /** Default `Logplex/dynokit-1`. */
  readonly userAgent?: string;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Kinds of drains beyond those built in, by the scheme of their URLs (without colon). */
  readonly kinds?: Readonly<Record<string, CustomDrainKind>>;
}

/** Options of {@link DrainSet.add}. */
export interface AddDrainOptions extends DrainOptions {
  /** UUID to use; give that of an earlier process to continue its work. */
  readonly id?: string;
  /** `d.` and a UUID. */
  readonly token?: string;
  /** First message to deliver; default: the next one to come. */
  readonly fromSeq?: number;
}

/** A drain as listings show it. */
export interface DrainInfo {
  readonly id: string;
  readonly token: string;
  readonly channel: string;
  /** Credentials and query values masked; undefined while the drain is only reserved. */
  readonly url?: string;
  readonly kind?: DrainKind;
  readonly dialect?: DrainDialect;
  readonly filter?: string;
  /** False where several requests at a time give up the order of the channel. */
  readonly ordered?: boolean;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}
