import type { Clock } from "../../clock.ts";

/** Options that all buffers shared by several processes have. */
export interface SharedBufferOptions {
  /** Kept per channel; default 10,000 messages. */
  readonly maxLines?: number;
  /** Kept per channel, bytes; default 64 MiB. */
  readonly maxBytes?: number;
  /** ms; default 7 days. */
  readonly maxAgeMs?: number;
  /** How long a write waits for the engine, ms; default 5,000. */
  readonly ackTimeoutMs?: number;
  /** What may wait per channel while the engine is away; default 8,192 messages, 8 MiB. */
  readonly maxPendingMessages?: number;
  readonly maxPendingBytes?: number;
  readonly clock?: Clock;
}

/** {@link SharedBufferOptions} with the defaults in place. */
export type SharedLimits = Required<Omit<SharedBufferOptions, "clock">>;

export function limitsOf(options: SharedBufferOptions): SharedLimits {
  return {
    maxLines: options.maxLines ?? 10_000,
    maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
    maxAgeMs: options.maxAgeMs ?? 7 * 86_400_000,
    ackTimeoutMs: options.ackTimeoutMs ?? 5000,
    maxPendingMessages: options.maxPendingMessages ?? 8192,
    maxPendingBytes: options.maxPendingBytes ?? 8 * 1024 * 1024,
  };
}
