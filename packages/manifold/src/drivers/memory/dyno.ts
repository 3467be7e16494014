import type { Clock } from "../../clock.ts";
import type { DriverHandle, DynoSpec, DynoStats } from "../../driver/contract.ts";
import { LogBuffer } from "../../driver/log-buffer.ts";
import type { MemoryScript } from "./script.ts";
import { MemoryTask } from "./task.ts";

type Stream = "stdout" | "stderr";

const MAX_UNHEARD = 1_000;

/** A dyno that exists only in memory and does what its script says. */
export class MemoryDyno extends MemoryTask {
  readonly spec: DynoSpec;
  readonly handle: DriverHandle;
  readonly script: MemoryScript;
  listening = false;
  /** Signals it got, in order. */
  readonly received: string[] = [];
  /** Command lines of what it has forked. */
  readonly forks: string[] = [];
  #memoryBytes = 0;
  #logs: LogBuffer | undefined;
  /** What was printed before the first client came; only dynos that may have one keep it. */
  #unheard: { readonly stream: Stream; readonly bytes: Uint8Array }[] | undefined;
  #clients: Set<(stream: Stream, bytes: Uint8Array) => void> | undefined;
  #wakers: (() => void)[] | undefined;

  constructor(clock: Clock, spec: DynoSpec, handle: DriverHandle, script: MemoryScript) {
    super(clock, handle.startedAt);
    this.spec = spec;
    this.handle = handle;
    this.script = script;
    const { listenAfterMs = 0, exitAfterMs, output, program } = script;
    if (spec.port && listenAfterMs !== null) {
      if (listenAfterMs === 0) this.listening = true;
      else this.after(listenAfterMs, () => this.#listen());
    }
    for (const line of output ?? []) this.#schedule(line.afterMs, line);
    if (exitAfterMs !== undefined) this.after(exitAfterMs, () => this.#exitByScript());
    program?.(this);
  }

  get argv(): readonly string[] {
    const { command } = this.spec;
    return typeof command === "string" ? ["/bin/sh", "-c", command] : command;
  }

  get env(): Readonly<Record<string, string>> {
    const { address } = this.handle;
    return address && "port" in address
      ? { ...this.spec.env, PORT: String(address.port) }
      : this.spec.env;
  }

  get tty(): DynoSpec["tty"] {
    return this.spec.tty;
  }

  /** What the driver would measure. */
  get stats(): Omit<DynoStats, "time"> {
    return (
      this.script.stats?.() ?? {
        cpuMs: this.clock.now() - this.startedAt,
        memoryBytes: this.#memoryBytes,
        pids: 1 + this.forks.length,
      }
    );
  }

  signal(name: string): void {
    if (!this.isLive) return;
    this.received.push(name);
    if (this.handles(name)) return;
    const reaction = name === "SIGKILL" ? undefined : this.script.signals?.[name];
    if (reaction === "ignore") return;
    const end = () =>
      reaction?.exitCode === undefined ? this.end(null, name) : this.end(reaction.exitCode, null);
    if (reaction && reaction.afterMs > 0) this.after(reaction.afterMs, end);
    else end();
  }

  override end(...[exitCode, signal, more]: Parameters<MemoryTask["end"]>): void {
    if (!this.isLive) return;
    this.listening = false;
    this.forks.length = 0;
    super.end(exitCode, signal, { oomKilled: this.script.oomKilled ?? false, ...more });
    this.#logs?.end();
    this.#wake();
  }

  /** Writes a line. */
  write(text: string, stream: Stream = "stdout"): void {
    this.print(`${text}\n`, stream);
  }

  print(text: string | Uint8Array, stream: Stream = "stdout"): void {
    if (!this.isLive) return;
    const bytes = Buffer.from(text);
    this.logs.push(stream, bytes);
    if (this.#clients) for (const client of this.#clients) client(stream, bytes);
    else if (this.spec.stdin) {
      this.#unheard ??= [];
      if (this.#unheard.length < MAX_UNHEARD) this.#unheard.push({ stream, bytes });
    }
  }

  fork(commandLine: string): boolean {
    const { pids } = this.spec.limits ?? {};
    if (!this.isLive || (pids !== undefined && this.forks.length + 1 >= pids)) return false;
    this.forks.push(commandLine);
    return true;
  }

  allocate(bytes: number): void {
    this.#memoryBytes += bytes;
    const { memoryBytes, memoryKillBytes = memoryBytes } = this.spec.limits ?? {};
    if (memoryKillBytes !== undefined && this.#memoryBytes > memoryKillBytes)
      this.end(null, "SIGKILL", { oomKilled: true });
  }

  /** Gets a copy of what it prints, until the returned function is called; the first one all of it. */
  follow(client: (stream: Stream, bytes: Uint8Array) => void): () => void {
    this.#clients ??= new Set();
    for (const { stream, bytes } of this.#unheard ?? []) client(stream, bytes);
    this.#unheard = undefined;
    this.#clients.add(client);
    return () => this.#clients?.delete(client);
  }

  /** Resolves at the exit, when it listens, or when `signal` aborts. */
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

  get logs(): LogBuffer {
    if (!this.#logs) {
      this.#logs = new LogBuffer({ now: () => this.clock.now() });
      if (!this.isLive) this.#logs.end();
    }
    return this.#logs;
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
    this.after(ms, () => {
      this.write(line.text, line.stream);
      if (line.everyMs !== undefined) this.#schedule(line.everyMs, line);
    });
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = undefined;
    for (const wake of wakers ?? []) wake();
  }
}
