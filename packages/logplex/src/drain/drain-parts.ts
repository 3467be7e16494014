import type { Clock } from "../clock.ts";
import type { DrainTry } from "./drain-set-options.ts";
import type { BatchEncoder } from "./encode/encoder.ts";
import type { DrainState } from "./health.ts";
import type { DrainNotice } from "./notices.ts";
import type { ParsedDrainOptions } from "./options.ts";
import type { DrainSource } from "./source.ts";
import type { SpoolOptions } from "./store/drain-spool.ts";
import type { DrainStore } from "./store/drain-store.ts";
import type { DrainTransport } from "./transport/transport.ts";

/** Receiver side of a drain; replaced as a whole when its URL or options change. */
export interface DrainOutput {
  readonly masked: string;
  readonly options: ParsedDrainOptions;
  readonly encoder: BatchEncoder;
  readonly transport: DrainTransport;
}

/** What a drain is made with. */
export interface DrainDependencies {
  readonly id: string;
  readonly token: string;
  readonly source: DrainSource;
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: DrainStore;
  /** Where messages of a drain with `onFull: "spool"` go. */
  readonly spool?: SpoolOptions | undefined;
  /** Writes a line about the drain into its channel. */
  readonly notify: (notice: DrainNotice) => void;
  /** Called when the state changes. */
  readonly onState?: (from: DrainState, to: DrainState) => void;
  readonly onTry?: (facts: Omit<DrainTry, "drain">) => void;
}

/** The next request of a drain, not sent. */
export interface DrainPreview {
  /** Request line and headers with secrets masked; empty for kinds without one. */
  readonly head: string;
  readonly body: Buffer;
  readonly frameId: string;
  readonly messages: number;
}
