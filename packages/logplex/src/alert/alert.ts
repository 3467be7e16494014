import type { Channel } from "../channel/channel.ts";
import { compileFilter } from "../channel/filter.ts";
import { followMessages } from "../channel/follow.ts";
import type { Clock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import type { StoredMessage } from "../message.ts";

/** A rule that watches a channel. */
export interface AlertOptions {
  /** LQ text. */
  readonly query: string;
  /** How many matches within the window raise the alert; default 1, at most 10,000. */
  readonly count?: number;
  /** Default 60,000 ms. */
  readonly windowMs?: number;
  /** Pause after an alert; default the window, at least 1,000 ms. */
  readonly cooldownMs?: number;
  /** Told of an alert. What it throws or rejects with is counted in `failures` and goes no further. */
  readonly onAlert?: (alert: AlertEvent) => void | Promise<void>;
  /**
   * Where alerts are posted as JSON: an `https:` URL under the rules for drains. Failures that may
   * pass are tried again up to five times; the last one is counted.
   */
  readonly webhook?: string;
}

/** An alert that was raised. */
export interface AlertEvent {
  readonly channel: string;
  readonly query: string;
  readonly count: number;
  readonly windowMs: number;
  /** ms since the epoch. */
  readonly at: number;
  /** The match that completed the count. */
  readonly message: StoredMessage;
}

/** A running rule. */
export interface Alert {
  readonly raised: number;
  readonly failures: number;
  /** Idempotent. */
  close(): void;
}

/** Starts a rule; it looks at messages that come from now on. Throws `bad-query` and `bad-request`. */
export function startAlert(channel: Channel, clock: Clock, options: AlertOptions): Alert {
  const { query, count = 1, windowMs = 60_000 } = options;
  if (!Number.isInteger(count) || count < 1 || count > 10_000 || !(windowMs > 0))
    throw new LogplexError(
      "bad-request",
      `An alert needs a count of 1 to 10,000 and a window above 0 ms; got ${count} and ${windowMs}.`,
    );
  const cooldownMs = Math.max(1000, options.cooldownMs ?? windowMs);
  const filter = compileFilter({ query }, clock.now());
  // Times of the last `count` matches, µs, as a ring.
  const times = new Float64Array(count);
  let matches = 0;
  let quietUntil = Number.NEGATIVE_INFINITY;
  let raised = 0;
  let failures = 0;

  const fire = (message: StoredMessage): void => {
    const at = clock.now();
    if (at < quietUntil) return;
    quietUntil = at + cooldownMs;
    raised += 1;
    const event = { channel: channel.id, query, count, windowMs, at, message };
    Promise.resolve()
      .then(() => options.onAlert?.(event))
      .catch(() => {
        failures += 1;
      });
  };
  const look = (message: StoredMessage): void => {
    if (filter !== undefined && !filter.test(message)) return;
    times[matches % count] = message.receivedAt;
    matches += 1;
    // The next slot holds the oldest of the last `count` matches.
    const since = times[matches % count]!;
    if (matches >= count && message.receivedAt - since <= windowMs * 1000) fire(message);
  };
  const close = followMessages(channel, look);
  return {
    get raised() {
      return raised;
    },
    get failures() {
      return failures;
    },
    close,
  };
}
