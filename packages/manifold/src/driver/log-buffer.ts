import type { LogChunk } from "./contract.ts";
import { DriverError } from "./errors.ts";
import { LineSplitter } from "./line-splitter.ts";

export interface LogBufferOptions {
  /** Bytes kept for readers that are late; default 4 MiB. Above it the oldest lines go and are counted. */
  readonly maxBytes?: number;
  /** Default `Date.now`. */
  readonly now?: () => number;
}

// What a line costs beside its bytes, so that empty lines are bounded too.
const OVERHEAD_BYTES = 64;

type Stream = "stdout" | "stderr";

/**
 * The output of one dyno in memory, for drivers that get it as a stream: cuts it into lines,
 * keeps a bounded part, and lets any number of readers follow it with cursors. `logOverflow` of
 * such a driver is `drop`.
 *
 * @example
 * const buffer = new LogBuffer();
 * child.stdout.on("data", (chunk) => buffer.push("stdout", chunk));
 * child.on("close", () => buffer.end());
 * const driver = { …, logs: (id, options) => buffer.read(options) };
 */
export class LogBuffer {
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #chunks: { readonly number: number; readonly chunk: LogChunk }[] = [];
  #bytes = 0;
  #count = 0;
  #acknowledged = 0;
  #ended = false;
  #wakers: (() => void)[] = [];

  constructor(options: LogBufferOptions = {}) {
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
    this.#now = options.now ?? Date.now;
  }

  /** Takes what the stream gave, cut anywhere. */
  push(stream: Stream, bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#splitters[stream].push(bytes, (line, partial) => this.#add(stream, line, partial));
    this.#wake();
  }

  /** Nothing follows: last lines without a line end come out, and readers end. */
  end(): void {
    if (this.#ended) return;
    for (const stream of ["stdout", "stderr"] as const)
      this.#splitters[stream].flush((line, partial) => this.#add(stream, line, partial));
    this.#ended = true;
    this.#wake();
  }

  /** Up to here all is delivered: it need not be kept, and a reader without `since` goes on after it. */
  acknowledge(cursor: string): void {
    const position = Number(cursor);
    if (!Number.isSafeInteger(position) || position <= this.#acknowledged) return;
    this.#acknowledged = Math.min(position, this.#count);
    const kept = this.#chunks.findIndex(({ number }) => number > this.#acknowledged);
    const gone = this.#chunks.splice(0, kept === -1 ? this.#chunks.length : kept);
    for (const { chunk } of gone) this.#bytes -= chunk.bytes.length + OVERHEAD_BYTES;
  }

  /**
   * The lines after `since`, or the oldest that are kept and not acknowledged, to the end; what
   * was dropped is a notice.
   */
  async *read(
    options: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogChunk> {
    const { signal, since } = options;
    let position = since === undefined ? this.#acknowledged : Number(since);
    if (!Number.isSafeInteger(position) || position < 0)
      throw new DriverError("invalid-spec", `"${since}" is not a cursor of this driver's logs`);
    while (!signal?.aborted) {
      position = Math.max(position, this.#acknowledged);
      const oldest = this.#chunks[0]?.number ?? this.#count + 1;
      if (oldest > position + 1) {
        const lost = oldest - position - 1;
        position = oldest - 1;
        yield this.#notice(lost, position);
        continue;
      }
      const next = this.#chunks[position + 1 - oldest];
      if (next) {
        position = next.number;
        yield next.chunk;
      } else if (this.#ended) return;
      else await this.#more(signal);
    }
  }

  #add(stream: Stream, bytes: Uint8Array, partial: boolean): void {
    const number = ++this.#count;
    this.#chunks.push({
      number,
      chunk: { stream, time: this.#now(), bytes, partial, cursor: String(number) },
    });
    this.#bytes += bytes.length + OVERHEAD_BYTES;
    let dropped = 0;
    while (this.#bytes > this.#maxBytes && dropped < this.#chunks.length - 1)
      this.#bytes -= (this.#chunks[dropped++]?.chunk.bytes.length ?? 0) + OVERHEAD_BYTES;
    if (dropped > 0) this.#chunks.splice(0, dropped);
  }

  #notice(lost: number, position: number): LogChunk {
    return {
      stream: "notice",
      time: this.#now(),
      bytes: Buffer.from(
        `${lost} ${lost === 1 ? "line was" : "lines were"} lost: nobody read them in time`,
      ),
      partial: false,
      cursor: String(position),
    };
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#wakers.push(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
