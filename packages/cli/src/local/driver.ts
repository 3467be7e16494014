import { setTimeout as delay } from "node:timers/promises";
import type {
  DriverCapabilities,
  DriverHandle,
  DriverInfo,
  DriverSession,
  DynoAddress,
  DynoDriver,
  DynoInspection,
  DynoSpec,
  ExitResult,
  LogChunk,
  RecoverResult,
  StopOptions,
} from "@dynokit/manifold";
import { canConnect } from "@dynokit/manifold";

/** Types with a terminal of their own, and the port of every dyno. */
export interface LocalDriverOptions {
  readonly portOf: (dyno: string) => number | undefined;
  /** The terminal of dynos of a type; undefined for none. */
  readonly terminalOf: (type: string) => { columns: number; rows: number } | undefined;
}

interface Live {
  readonly dyno: string;
  readonly port: number | undefined;
  /** Opened at the first attach and kept: closing it would hang the dyno up. */
  session?: Promise<DriverSession>;
  host?: string;
}

const probeMs = 50;

/**
 * The process driver as a developer's machine needs it: the same dyno has the same port each time,
 * waits for its predecessor to leave it, and keeps its standard input open for `attach`.
 */
export class LocalDriver implements DynoDriver {
  readonly #inner: DynoDriver;
  readonly #options: LocalDriverOptions;
  readonly #live = new Map<string, Live>();

  constructor(inner: DynoDriver, options: LocalDriverOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  info(): DriverInfo {
    return this.#inner.info();
  }

  capabilities(): DriverCapabilities {
    return this.#inner.capabilities();
  }

  async start(
    spec: DynoSpec,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<DriverHandle> {
    const { port: asked, ...rest } = spec;
    const { dyno, type } = spec.labels;
    await this.#vacated(dyno, options.signal);
    const port = asked ? this.#options.portOf(dyno) : undefined;
    const tty = this.#options.terminalOf(type);
    const handle = await this.#inner.start(
      {
        ...rest,
        env: {
          ...spec.env,
          PS: dyno,
          ...(port === undefined ? {} : { PORT: String(port) }),
          ...(tty
            ? {
                TERM: spec.env["TERM"] ?? "xterm-256color",
                COLUMNS: String(tty.columns),
                LINES: String(tty.rows),
              }
            : {}),
        },
        stdin: true,
        ...(tty ? { tty } : {}),
      },
      options,
    );
    this.#live.set(spec.id, { dyno, port });
    void this.#inner.wait(spec.id).then(
      () => this.#live.delete(spec.id),
      () => this.#live.delete(spec.id),
    );
    return port === undefined ? handle : { ...handle, address: { host: "127.0.0.1", port } };
  }

  recover(handle: DriverHandle): Promise<RecoverResult> {
    return this.#inner.recover(handle);
  }

  wait(id: string, options?: { readonly signal?: AbortSignal }): Promise<ExitResult> {
    return this.#inner.wait(id, options);
  }

  stop(id: string, options?: StopOptions): Promise<void> {
    return this.#inner.stop(id, options);
  }

  destroy(id: string, options?: { readonly force?: boolean }): Promise<void> {
    return this.#inner.destroy(id, options);
  }

  inspect(id: string): Promise<DynoInspection> {
    return this.#inner.inspect(id);
  }

  list(): Promise<readonly DriverHandle[]> {
    return this.#inner.list();
  }

  /** Waits until the dyno itself listens on its port, on whichever loopback address. */
  async ready(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const live = this.#live.get(id);
    if (live?.port === undefined) return;
    const { port } = live;
    for (;;) {
      options.signal?.throwIfAborted();
      const { listening } = await this.#inner.inspect(id);
      if (listening === undefined || listening.some((one) => one.port === port))
        for (const host of ["127.0.0.1", "::1"])
          if (await canConnect({ host, port })) {
            live.host = host;
            return;
          }
      await delay(probeMs, undefined, options.signal ? { signal: options.signal } : {});
    }
  }

  logs(
    id: string,
    options?: { readonly since?: string; readonly signal?: AbortSignal },
  ): AsyncIterable<LogChunk> {
    return this.#inner.logs!(id, options);
  }

  acknowledge(id: string, cursor: string): void {
    this.#inner.acknowledge?.(id, cursor);
  }

  signal(id: string, name: string): Promise<void> {
    return this.#inner.signal!(id, name);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Where a dyno that is ready listens; development servers bind `::1` as well as `127.0.0.1`. */
  addressOf(id: string): DynoAddress | undefined {
    const live = this.#live.get(id);
    if (live?.port === undefined) return undefined;
    return { host: live.host ?? "127.0.0.1", port: live.port };
  }

  /** The one session of a dyno: what is typed anywhere reaches it, what it prints comes from it. */
  session(id: string): Promise<DriverSession> | undefined {
    const live = this.#live.get(id);
    if (!live) return undefined;
    live.session ??= this.#inner.attach!(id);
    return live.session;
  }

  hasTerminal(type: string): boolean {
    return this.#options.terminalOf(type) !== undefined;
  }

  /** Ends every process at once. */
  async killAll(): Promise<void> {
    await Promise.all([...this.#live.keys()].map((id) => this.#inner.stop(id, { timeoutMs: 0 })));
  }

  /** A restart starts the new dyno with the signal to the old, which still has the port. */
  async #vacated(dyno: string, signal: AbortSignal | undefined): Promise<void> {
    const before = [...this.#live].filter(([, live]) => live.dyno === dyno);
    const options = signal ? { signal } : {};
    await Promise.all(before.map(([id]) => this.#inner.wait(id, options).catch(() => undefined)));
    signal?.throwIfAborted();
  }
}
