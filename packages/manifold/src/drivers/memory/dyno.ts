import type { Clock } from "../../clock.ts";
import type { DriverHandle, DynoSpec, ExitResult, LogChunk } from "../../driver/contract.ts";
import type { MemoryScript } from "./script.ts";

/** Lines kept for a reader that is late; older ones are dropped and counted. */
const maxKeptLines = 10_000;

/** A dyno that exists only in memory and does what its script says. */
export class MemoryDyno {
  readonly spec: DynoSpec;
  readonly handle: DriverHandle;
  readonly script: MemoryScript;
  readonly exited: Promise<ExitResult>;
  result: ExitResult | undefined;
  listening = false;
  /** Signals it got, in order. */
  readonly received: string[] = [];
  readonly #clock: Clock;
  #timers: Set<unknown> | undefined;
  #resolveExit: (result: ExitResult) => void = () => {};
  #lines: { readonly number: number; readonly chunk: LogChunk }[] | undefined;
  #written = 0;
  #dropped = 0;
  acknowledged = 0;
  #wakers: (() => void)[] | undefined;

  constructor(clock: Clock, spec: DynoSpec, handle: DriverHandle, script: MemoryScript) {
    this.#clock = clock;
    this.spec = spec;
    this.handle = handle;
    this.script = script;
    this.exited = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
    const { listenAfterMs = 0, exitAfterMs, output } = script;
    if (spec.port && listenAfterMs !== null) {
      if (listenAfterMs === 0) this.listening = true;
      else this.#after(listenAfterMs, () => this.#listen());
    }
    for (const line of output ?? []) this.#schedule(line.afterMs, line);
    if (exitAfterMs !== undefined) this.#after(exitAfterMs, () => this.#exitByScript());
  }

  get isLive(): boolean {
    return this.result === undefined;
  }

  signal(name: string): void {
    if (!this.isLive) return;
    this.received.push(name);
    const reaction = name === "SIGKILL" ? undefined : this.script.signals?.[name];
    if (reaction === "ignore") return;
    const end = () =>
      reaction?.exitCode === undefined ? this.end(null, name) : this.end(reaction.exitCode, null);
    if (reaction && reaction.afterMs > 0) this.#after(reaction.afterMs, end);
    else end();
  }

  end(exitCode: number | null, signal: string | null): void {
    if (!this.isLive) return;
    for (const timer of this.#timers ?? []) this.#clock.clearTimeout(timer);
    this.#timers = undefined;
    this.listening = false;
    this.result = {
      exitCode,
      signal,
      oomKilled: this.script.oomKilled ?? false,
      startedAt: this.handle.startedAt,
      endedAt: this.#clock.now(),
    };
    this.#wake();
    this.#resolveExit(this.result);
  }

  write(text: string, stream: "stdout" | "stderr" = "stdout"): void {
    const number = ++this.#written;
    this.#lines ??= [];
    this.#lines.push({
      number,
      chunk: {
        stream,
        time: this.#clock.now(),
        bytes: new TextEncoder().encode(text),
        partial: false,
        cursor: String(number),
      },
    });
    if (this.#lines.length > maxKeptLines) {
      this.#lines.shift();
      this.#dropped++;
    }
    this.#wake();
  }

  /** Resolves at the next line, at the exit, when it listens, or when `signal` aborts. */
  changed(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#wakers ??= [];
      this.#wakers.push(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  async *logs(
    since: string | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<LogChunk> {
    let position = since === undefined ? this.acknowledged : Number(since);
    while (!signal?.aborted) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      if (dropped > 0) {
        yield {
          stream: "notice",
          time: this.#clock.now(),
          bytes: new TextEncoder().encode(`${dropped} lines were dropped`),
          partial: false,
          cursor: String(position),
        };
      }
      const next = this.#lines?.find(({ number }) => number > position);
      if (next) {
        position = next.number;
        yield next.chunk;
      } else if (!this.isLive) return;
      else await this.changed(signal);
    }
  }

  acknowledge(cursor: string): void {
    this.acknowledged = Math.max(this.acknowledged, Number(cursor));
    while (this.#lines?.[0] && this.#lines[0].number <= this.acknowledged) this.#lines.shift();
  }

  #listen(): void {
    this.listening = true;
    this.#wake();
  }

  #exitByScript(): void {
    const { exitSignal, exitCode = 0 } = this.script;
    if (exitSignal === undefined) this.end(exitCode, null);
    else this.end(null, exitSignal);
  }

  #schedule(ms: number, line: NonNullable<MemoryScript["output"]>[number]): void {
    this.#after(ms, () => {
      this.write(line.text, line.stream);
      if (line.everyMs !== undefined) this.#schedule(line.everyMs, line);
    });
  }

  #after(ms: number, run: () => void): void {
    this.#timers ??= new Set();
    const timers = this.#timers;
    const timer = this.#clock.setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = undefined;
    for (const wake of wakers ?? []) wake();
  }
}
