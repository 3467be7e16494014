import type { Clock } from "../clock.ts";
import { retryDelayMs } from "../drain/backoff.ts";
import type { DrainTransport } from "../drain/transport/transport.ts";
import { LogplexError } from "../errors.ts";

/** Options of `Logplex.exportMetrics`. */
export interface MetricsExportOptions {
  /** Of an OTLP/HTTP receiver; without a path `/v1/metrics` is meant. The rules of drains hold. */
  readonly url: string;
  /** Pause between two pushes; 1,000 to 3,600,000 ms, default 60,000. */
  readonly intervalMs?: number | undefined;
  /** Such as the key that a receiver asks for. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Attributes of the resource; default `service.name` is `logplex`. */
  readonly resource?: Readonly<Record<string, string>> | undefined;
}

/** A push of metrics that goes on until it is closed. */
export interface MetricsExport {
  /** What became of the last push; undefined before the first. */
  readonly last: { readonly at: number; readonly error?: string } | undefined;
  /** Idempotent. */
  close(): void;
}

/** What a {@link MetricsPusher} needs of its owner. */
export interface MetricsPusherParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly transport: DrainTransport;
  /** The request's body at this moment. */
  readonly render: () => string;
}

/**
 * Pushes all figures at an interval. One push is on its way at a time; a receiver that is away is
 * asked again with a back-off of its own, never more often than the interval says, and misses
 * nothing but points in between, since sums go on.
 */
export class MetricsPusher implements MetricsExport {
  last: MetricsExport["last"];
  readonly #parts: MetricsPusherParts;
  readonly #intervalMs: number;
  readonly #stop = new AbortController();
  #timer: unknown;
  #pushes = 0;
  #failures = 0;

  /** @throws LogplexError `bad-request` for an interval that is none. */
  constructor(parts: MetricsPusherParts, intervalMs = 60_000) {
    if (!(intervalMs >= 1000 && intervalMs <= 3_600_000))
      throw new LogplexError(
        "bad-request",
        `intervalMs is ${intervalMs}; give 1000 to 3600000 milliseconds.`,
      );
    this.#parts = parts;
    this.#intervalMs = intervalMs;
    this.#wait(intervalMs);
  }

  #wait(ms: number): void {
    this.#timer = this.#parts.clock.setTimeout(() => void this.#push(), ms);
  }

  async #push(): Promise<void> {
    const { clock, random, transport, render } = this.#parts;
    const frame = {
      id: String(++this.#pushes),
      body: Buffer.from(render()),
      contentType: "application/json",
      count: 1,
    };
    const outcome = await transport.send(frame, this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    let pause = this.#intervalMs;
    if (outcome.kind === "delivered") {
      this.#failures = 0;
      this.last = { at: clock.now() };
    } else {
      this.last = { at: clock.now(), error: "reason" in outcome ? outcome.reason : outcome.kind };
      const asked = outcome.kind === "temporary" ? outcome.retryAfterMs : undefined;
      pause = Math.max(pause, retryDelayMs(++this.#failures, random, asked));
    }
    this.#wait(pause);
  }

  close(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#parts.clock.clearTimeout(this.#timer);
    // Ends the connection; nothing that could fail is left to tell.
    void this.#parts.transport.close();
  }
}
