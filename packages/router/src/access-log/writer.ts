import type { LogSink } from "../contract.ts";
import type { RouterClock } from "../time/clock.ts";

/** Lines that may wait for a slow sink; more are dropped and counted (spec/router.md §24). */
const MAX_WAITING = 10_000;
/** How long lines are gathered that come soon after others. */
const GATHER_MS = 5;

/**
 * Hands lines to a sink in batches, one per app: at the end of the turn of the event loop, or,
 * where lines follow each other fast, every 5 ms. Traffic never waits for the sink.
 */
export class LogWriter {
  /** Lines lost because the sink was slow or failed. */
  dropped = 0;
  readonly #sink: LogSink;
  readonly #clock: RouterClock;
  #channels = new Map<string, string[]>();
  #waiting = 0;
  #scheduled = false;
  // Gathering is no limit: a clock that is made to stand still must not hold lines back.
  #timer: NodeJS.Timeout | null = null;
  /** When the last batch went out; `performance.now()`. */
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> | null = null;
  #announced = 0;
  readonly #flush = () => this.#deliver();

  constructor(sink: LogSink, clock: RouterClock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Takes one line for an app. */
  write(app: string, line: string): void {
    if (this.#waiting >= MAX_WAITING) {
      this.dropped++;
      return;
    }
    this.#waiting++;
    const lines = this.#channels.get(app);
    if (lines === undefined) this.#channels.set(app, [line]);
    else lines.push(line);
    if (this.#scheduled || this.#busy !== null) return;
    this.#scheduled = true;
    const left = this.#deliveredAt + GATHER_MS - performance.now();
    if (left > 0) this.#timer = setTimeout(this.#flush, left);
    else setImmediate(this.#flush);
  }

  #deliver(): void {
    this.#scheduled = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting === 0) return;
    this.#deliveredAt = performance.now();
    const channels = this.#channels;
    this.#channels = new Map();
    this.#waiting = 0;
    const at = this.#clock.now();
    const slow: Promise<void>[] = [];
    for (const [channel, lines] of channels) {
      try {
        if (this.dropped > this.#announced) {
          lines.push(`at=warning router log lines dropped=${this.dropped - this.#announced}`);
          this.#announced = this.dropped;
        }
        const result = this.#sink.write({
          channel,
          source: "heroku",
          proc: "router",
          lines: toOctets(lines),
          at,
        });
        if (result !== undefined)
          slow.push(
            result.catch(() => {
              this.dropped += lines.length;
            }),
          );
      } catch {
        // A broken sink must not stop traffic; the loss is counted.
        this.dropped += lines.length;
      }
    }
    if (slow.length === 0) return;
    this.#busy = Promise.all(slow).then(() => {
      this.#busy = null;
      this.#deliver();
    });
  }

  /** Resolves when everything written so far was taken by the sink. */
  async flush(): Promise<void> {
    do {
      if (this.#busy === null) this.#deliver();
      await this.#busy;
    } while (this.#waiting > 0 || this.#busy !== null);
  }
}

/** One buffer for all lines of a batch, cut where they end. */
function toOctets(lines: readonly string[]): Buffer[] {
  const text = lines.join("");
  const all = Buffer.from(text);
  // More octets than characters: some line is not ASCII.
  if (all.length !== text.length) return lines.map((line) => Buffer.from(line));
  let end = 0;
  return lines.map((line) => {
    const start = end;
    end += line.length;
    return all.subarray(start, end);
  });
}
