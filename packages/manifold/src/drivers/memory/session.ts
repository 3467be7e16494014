import type { Clock } from "../../clock.ts";
import type { DriverSession, DynoDriver } from "../../driver/contract.ts";
import type { MemoryDyno } from "./dyno.ts";
import { MemoryTask } from "./task.ts";

type Stream = "stdout" | "stderr";
type ExecOptions = Parameters<NonNullable<DynoDriver["exec"]>>[2];

/** Output on its way to one client. */
class Outbox {
  readonly #queue: { readonly stream: Stream; readonly bytes: Uint8Array }[] = [];
  #wake: (() => void) | undefined;
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  push(stream: Stream, bytes: Uint8Array): void {
    this.#queue.push({ stream, bytes });
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *read(): AsyncGenerator<{ readonly stream: Stream; readonly bytes: Uint8Array }> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) yield next;
      else if (this.#closed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/**
 * A client of a memory dyno. What it writes goes to the program; without one that reads, it
 * comes back through the script's `respond`.
 */
export function memorySession(dyno: MemoryDyno): DriverSession {
  const outbox = new Outbox();
  const unfollow = dyno.follow((stream, bytes) => outbox.push(stream, bytes));
  const finish = () => {
    unfollow();
    outbox.close();
  };
  void dyno.exited.then(finish);
  return {
    output: outbox.read(),
    async write(bytes) {
      if (dyno.readsInput) return dyno.input(bytes);
      const text = new TextDecoder().decode(bytes);
      const answer = dyno.script.respond?.(text) ?? text;
      outbox.push("stdout", new TextEncoder().encode(answer));
    },
    async end() {
      if (dyno.readsInput) dyno.input(undefined);
      else dyno.end(dyno.script.exitCode ?? 0, null);
    },
    resize: async (size) => dyno.resize(size),
    async signal(name) {
      dyno.signal(name);
    },
    wait: () => dyno.exited,
    async close() {
      if (!outbox.closed) dyno.signal("SIGHUP");
      finish();
    },
  };
}

/** A command beside a dyno's own. */
export class MemoryExec extends MemoryTask {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly tty: MemoryTask["tty"];
  readonly outbox = new Outbox();
  readonly #dyno: MemoryDyno;

  constructor(
    dyno: MemoryDyno,
    argv: readonly string[],
    clock: Clock,
    { tty, env, timeoutMs }: NonNullable<ExecOptions> = {},
  ) {
    super(clock, clock.now());
    this.#dyno = dyno;
    this.argv = argv;
    this.env = { ...dyno.env, ...env };
    this.tty = tty;
    const line = argv.join(" ");
    const stopped = () => this.end(null, "SIGKILL");
    dyno.forks.push(line);
    dyno.onEnd(stopped);
    this.onEnd(() => {
      const index = dyno.forks.indexOf(line);
      if (index >= 0) dyno.forks.splice(index, 1);
      this.outbox.close();
    });
    if (timeoutMs !== undefined) {
      this.after(timeoutMs, () =>
        this.end(null, "SIGKILL", { error: `It was ended after ${timeoutMs} ms` }),
      );
    }
    const does = dyno.script.exec?.(argv) ?? { output: "", exitCode: 0 };
    if (typeof does === "function") does(this);
    else {
      if (does.output !== "") this.print(does.output);
      this.exit(does.exitCode);
    }
  }

  print(text: string | Uint8Array, stream: Stream = "stdout"): void {
    if (this.isLive) this.outbox.push(stream, Buffer.from(text));
  }

  fork(commandLine: string): boolean {
    return this.#dyno.fork(commandLine);
  }

  allocate(bytes: number): void {
    this.#dyno.allocate(bytes);
  }

  session(): DriverSession {
    return {
      output: this.outbox.read(),
      write: async (bytes) => this.input(bytes),
      end: async () => this.input(undefined),
      resize: async (size) => this.resize(size),
      signal: async (name) => {
        if (!this.handles(name)) this.die(name);
      },
      wait: () => this.exited,
      close: async () => {
        if (!this.handles("SIGHUP")) this.die("SIGHUP");
      },
    };
  }
}
