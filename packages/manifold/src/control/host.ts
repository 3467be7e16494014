import type PQueue from "p-queue";
import type { Clock } from "../clock.ts";
import type { DynoAddress, DynoStats } from "../driver/contract.ts";
import type { Logger } from "../logger.ts";
import type { DynoEvent, LogSink } from "../types.ts";
import type { DynoRunner } from "./runner.ts";

/** What all dynos of a manifold share. */
export interface Host {
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly logs: LogSink | undefined;
  /** Bounds how many dynos start at one time. */
  readonly starts: PQueue;
  readonly envPrefix: string;
  /** ms between two samples of a dyno's memory. */
  readonly statsIntervalMs: number;
  readonly runners: Map<string, DynoRunner>;
  /** Removals under way; awaited before the drivers are closed. */
  readonly cleanups: Set<Promise<void>>;
  /** Aborts when the manifold closes. */
  readonly closed: AbortSignal;
  publish(event: DynoEvent): void;
  /** Writes the lines of `log-runtime-metrics`. */
  publishMetrics(runner: DynoRunner, sample: DynoStats): void;
  /** Resolves when every router has let go of the dyno. */
  drain(
    dyno: { readonly app: string; readonly dyno: string; readonly id: string },
    timeoutMs: number,
  ): Promise<void>;
  probe(address: DynoAddress, intervalMs: number, signal: AbortSignal): Promise<void>;
}

/** The code of a `DriverError`, also of another installed copy. */
export function driverErrorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Whether the same call may succeed later. */
export function isRetryable(error: unknown): boolean {
  return (error as { retryable?: unknown } | null)?.retryable === true;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
