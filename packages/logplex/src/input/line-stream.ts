import { Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { LogBatch } from "../contract.ts";

/** A lone CR ends a line when nothing follows it for so long, as progress bars do. */
const LONE_CR_MS = 250;
/** Lines per batch, as log-shuttle. */
const BATCH_LINES = 500;
/** Longest line that is assembled; a longer one is handed on in parts of this size. */
const MAX_ASSEMBLED_BYTES = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;

/** Options of {@link Channel.stream}. */
export interface LineStreamOptions {
  /** `web.1`. */
  readonly procid: string;
  /** Default `app`. */
  readonly source?: string;
  /** Default `stdout`: severity 6; `stderr`: 3. */
  readonly stream?: "stdout" | "stderr";
  /** Wins over `stream`. */
  readonly severity?: number;
}

interface LineTarget {
  write(batch: Omit<LogBatch, "channel">): void | Promise<void>;
}

/** Assembles the output of a process into lines and writes them to a channel in batches. */
export class LineStream extends Writable {
  readonly #target: LineTarget;
  readonly #clock: Clock;
  readonly #source: string;
  readonly #procid: string;
  readonly #severity: number;
  #parts: Buffer[] = [];
  #length = 0;
  /** ms; time of the first byte of the unfinished line. */
  #startedAt = 0;
  #timer: unknown;

  constructor(target: LineTarget, clock: Clock, options: LineStreamOptions) {
    super({ decodeStrings: true });
    this.#target = target;
    this.#clock = clock;
    this.#source = options.source ?? "app";
    this.#procid = options.procid;
    this.#severity = options.severity ?? (options.stream === "stderr" ? 3 : 6);
  }

  override _write(
    chunk: Buffer,
    _encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = this.#clock.now();
    const first = this.#length > 0 ? this.#startedAt : now;
    const lines: Buffer[] = [];
    const firstBelongs = this.#length > 0;
    let at = 0;
    for (let lf = chunk.indexOf(LF, at); lf !== -1; lf = chunk.indexOf(LF, at)) {
      lines.push(this.#take(chunk.subarray(at, lf)));
      at = lf + 1;
    }
    if (at < chunk.length) this.#keep(chunk.subarray(at), now);
    let pending: Promise<void> | undefined;
    if (lines.length > 0) pending = this.#emit(lines, first, firstBelongs, now);
    if (this.#length > MAX_ASSEMBLED_BYTES)
      pending = this.#emit([this.#take(EMPTY)], this.#startedAt, true, now);
    else if (this.#length > 0 && this.#lastOctet() === CR)
      this.#timer = this.#clock.setTimeout(() => {
        // A failed disk is told to the next write.
        settle(this.#flushRest(), () => {});
      }, LONE_CR_MS);
    settle(pending, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    settle(this.#flushRest(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#clock.clearTimeout(this.#timer);
    callback(error);
  }

  /** Writes the unfinished line: at the end of the stream, or after a lone CR. */
  #flushRest(): Promise<void> | undefined {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#length === 0) return undefined;
    const startedAt = this.#startedAt;
    return this.#emit([this.#take(EMPTY)], startedAt, true, startedAt);
  }

  #lastOctet(): number | undefined {
    return this.#parts.at(-1)?.at(-1);
  }

  #keep(part: Buffer, now: number): void {
    if (this.#length === 0) this.#startedAt = now;
    // The chunk belongs to the pipe and may be large: what waits is copied.
    this.#parts.push(Buffer.from(part));
    this.#length += part.length;
  }

  /** The unfinished line with its end; a CR before the LF is not part of it. */
  #take(end: Buffer): Buffer {
    const line = this.#length === 0 ? end : Buffer.concat([...this.#parts, end]);
    this.#parts = [];
    this.#length = 0;
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  }

  #emit(
    lines: readonly Buffer[],
    firstAt: number,
    firstBelongs: boolean,
    at: number,
  ): Promise<void> | undefined {
    let pending: Promise<void> | undefined;
    let from = 0;
    if (firstBelongs && firstAt !== at) {
      pending = this.#send(lines.slice(0, 1), firstAt);
      from = 1;
    }
    for (; from < lines.length; from += BATCH_LINES)
      pending = this.#send(lines.slice(from, from + BATCH_LINES), at);
    return pending;
  }

  #send(lines: readonly Buffer[], at: number): Promise<void> | undefined {
    const pending = this.#target.write({
      source: this.#source,
      proc: this.#procid,
      lines,
      at,
      severity: this.#severity,
    });
    return pending as Promise<void> | undefined;
  }
}

const EMPTY = Buffer.alloc(0);

function settle(
  pending: Promise<void> | undefined,
  callback: (error?: Error | null) => void,
): void {
  if (pending === undefined) callback();
  else pending.then(() => callback(), callback);
}
