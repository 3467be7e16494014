import type { Clock } from "../../clock.ts";
import type { ExitResult } from "../../driver/contract.ts";
import type { MemoryProcess } from "./program.ts";

type Size = { readonly columns: number; readonly rows: number };

/** What is the same for a dyno and for a command in it: time, signals, input and one end. */
export abstract class MemoryTask implements MemoryProcess {
  abstract readonly argv: readonly string[];
  abstract readonly env: Readonly<Record<string, string>>;
  abstract readonly tty: Size | undefined;
  readonly exited: Promise<ExitResult>;
  readonly startedAt: number;
  result: ExitResult | undefined;
  protected readonly clock: Clock;
  // Made when first needed: there may be tens of thousands of dynos.
  #timers: Set<unknown> | undefined;
  #handlers: Map<string, () => void> | undefined;
  #ends: (() => void)[] | undefined;
  #input: ((bytes: Uint8Array | undefined) => void) | undefined;
  #resized: ((size: Size) => void) | undefined;
  #resolveExit: (result: ExitResult) => void = () => {};

  constructor(clock: Clock, startedAt: number) {
    this.clock = clock;
    this.startedAt = startedAt;
    this.exited = new Promise((resolve) => {
      this.#resolveExit = resolve;
    });
  }

  abstract print(text: string | Uint8Array, stream?: "stdout" | "stderr"): void;
  abstract fork(commandLine: string): boolean;
  abstract allocate(bytes: number): void;

  get isLive(): boolean {
    return this.result === undefined;
  }

  get readsInput(): boolean {
    return this.#input !== undefined;
  }

  exit(code: number): void {
    this.end(code, null);
  }

  die(signal: string): void {
    this.end(null, signal);
  }

  after(ms: number, run: () => void): void {
    if (!this.isLive) return;
    this.#timers ??= new Set();
    const timers = this.#timers;
    const timer = this.clock.setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  }

  onSignal(name: string, run: () => void): void {
    this.#handlers ??= new Map();
    this.#handlers.set(name, run);
  }

  onInput(run: (bytes: Uint8Array | undefined) => void): void {
    this.#input = run;
  }

  onResize(run: (size: Size) => void): void {
    this.#resized = run;
  }

  onEnd(run: () => void): void {
    this.#ends ??= [];
    this.#ends.push(run);
  }

  /** True when the program has caught the signal. */
  handles(name: string): boolean {
    const handler = name === "SIGKILL" ? undefined : this.#handlers?.get(name);
    handler?.();
    return handler !== undefined;
  }

  input(bytes: Uint8Array | undefined): void {
    if (this.isLive) this.#input?.(bytes);
  }

  resize(size: Size): void {
    if (this.isLive) this.#resized?.(size);
  }

  end(
    exitCode: number | null,
    signal: string | null,
    more: { readonly oomKilled?: boolean; readonly error?: string } = {},
  ): void {
    if (!this.isLive) return;
    for (const timer of this.#timers ?? []) this.clock.clearTimeout(timer);
    this.#timers = undefined;
    this.#handlers = undefined;
    this.result = {
      exitCode,
      signal,
      oomKilled: false,
      ...more,
      startedAt: this.startedAt,
      endedAt: this.clock.now(),
    };
    for (const run of this.#ends ?? []) run();
    this.#resolveExit(this.result);
  }
}
