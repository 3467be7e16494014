import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { throwIfAborted, untilAborted } from "../../driver/aborted.ts";
import { checkSignal, checkSpec, isDynoId } from "../../driver/check-spec.ts";
import type {
  DriverCapabilities,
  DriverEvent,
  DriverHandle,
  DriverInfo,
  DriverSession,
  DynoDriver,
  DynoInspection,
  DynoSpec,
  DynoStats,
  ExitResult,
  LogChunk,
  LogLines,
  RecoverResult,
  StopOptions,
} from "../../driver/contract.ts";
import { DriverError } from "../../driver/errors.ts";
import { Clients } from "./clients.ts";
import { Connection } from "./connection.ts";
import { endPackageScope, removeDirectory } from "./directories.ts";
import type { DynoClient } from "./dyno-client.ts";
import { EventQueue } from "./event-queue.ts";
import { capabilitiesOf, type HostAbilities, probeHost } from "./host.ts";
import { endedDynos, liveDynos } from "./inventory.ts";
import { DRIVER_NAME, launchSpec, newHandle } from "./launch-spec.ts";
import { readLog } from "./log-reader.ts";
import { canSeeSockets, listeningOf, sampleStats } from "./measure.ts";
import type { ParsedOptions } from "./options.ts";
import { PortPool } from "./ports.ts";
import { untilBound } from "./readiness.ts";
import {
  dynoDirectory,
  isLive,
  killLeftovers,
  readStatus,
  type StatusRecord,
  writeCreator,
} from "./records.ts";
import { SocketSession } from "./session.ts";
import { SharedLauncher } from "./shared.ts";
import { EachLauncher, type Launcher } from "./shim.ts";
import { SlugCache } from "./slug.ts";

const VERSION = "1.0.0";

/** The driver behind `processDriver`; one instance holds connections, the dynos belong to their supervisors. */
export class ProcessDriver implements DynoDriver {
  readonly #options: ParsedOptions;
  readonly #host: HostAbilities;
  readonly #capabilities: DriverCapabilities;
  readonly #ports: PortPool;
  readonly #slugs: SlugCache;
  readonly #launcher: Launcher;
  readonly #clients: Clients;
  /** Undefined until there is a handle. */
  readonly #starting = new Map<string, DriverHandle | undefined>();
  readonly #events = new EventQueue<DriverEvent>();
  readonly #closing = new AbortController();
  readonly configSchema = { type: "object", additionalProperties: false } as const;

  constructor(options: ParsedOptions) {
    this.#options = options;
    this.#host = probeHost(options);
    this.#capabilities = capabilitiesOf(this.#host, options);
    // Dynos with own users must reach their code below it; everything else in it is for us alone.
    const mode = options.users ? 0o711 : 0o700;
    mkdirSync(options.stateDirectory, { recursive: true, mode });
    chmodSync(options.stateDirectory, mode);
    this.#clients = new Clients(options.stateDirectory, (event) => this.#events.push(event));
    this.#ports = new PortPool(options.stateDirectory, options.ports, options.random);
    this.#slugs = new SlugCache(options.stateDirectory);
    this.#launcher =
      options.supervisor === "shared"
        ? new SharedLauncher(options.stateDirectory, options.startTimeoutMs)
        : new EachLauncher(options.stateDirectory, options.startTimeoutMs, options.spares);
  }

  info(): DriverInfo {
    return { name: DRIVER_NAME, version: VERSION, interfaceRange: "^1.0.0" };
  }

  capabilities(): DriverCapabilities {
    return this.#capabilities;
  }

  async *fingerprint(signal: AbortSignal): AsyncGenerator<Readonly<Record<string, unknown>>> {
    if (signal.aborted) return;
    const { groups, init, shell } = this.#host;
    yield {
      healthy: true,
      root: process.getuid?.() === 0,
      containment: this.#capabilities.containment,
      "cgroup.v1": Object.keys(groups.v1),
      "cgroup.v2": groups.v2 !== undefined,
      init,
      shell,
      supervisor: this.#options.supervisor,
      stateDirectory: this.#options.stateDirectory,
    };
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async start(
    spec: DynoSpec,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<DriverHandle> {
    this.#checkOpen();
    checkSpec(spec, this.#capabilities);
    if (spec.user !== undefined) {
      throw new DriverError(
        "not-supported",
        '"user" is not supported by this driver; its option "users" gives every dyno its own',
      );
    }
    throwIfAborted(options.signal);
    const directory = this.#directoryOf(spec.id);
    await this.#claim(spec.id, directory);
    let port: number | undefined;
    try {
      const app = join(directory, "app");
      if (spec.slug) {
        await writeCreator(directory);
        await this.#slugs.copyTo(spec.slug, app, options.signal);
      } else if (spec.cwd === undefined) await mkdir(app);
      if (existsSync(app)) await endPackageScope(directory);
      port = spec.port ? await this.#ports.reserve(spec.id) : undefined;
      const handle = newHandle(spec, port);
      this.#starting.set(spec.id, handle);
      const launch = await launchSpec(directory, spec, handle, this.#host, this.#options);
      throwIfAborted(options.signal);
      await this.#launcher.start(directory, launch);
      this.#clients.add(spec.id);
      if (options.signal?.aborted) {
        await this.stop(spec.id, { timeoutMs: 0 });
        throwIfAborted(options.signal);
      }
      return handle;
    } catch (error) {
      if (port !== undefined) this.#ports.release(port, spec.id);
      this.#clients.forget(spec.id);
      await removeDirectory(this.#options.stateDirectory, directory);
      throw DriverError.from(error, `Dyno "${spec.id}" could not be started`);
    } finally {
      this.#starting.delete(spec.id);
    }
  }

  async recover(handle: DriverHandle): Promise<RecoverResult> {
    const id: unknown = handle?.id;
    const nonce: unknown = handle?.data?.["nonce"];
    if (handle?.version !== 1 || handle.driver !== DRIVER_NAME) return { state: "lost" };
    if (typeof id !== "string" || typeof nonce !== "string" || !isDynoId(id))
      return { state: "lost" };
    const status = readStatus(dynoDirectory(this.#options.stateDirectory, id));
    if (!status || status.nonce !== nonce) return { state: "lost" };
    if (status.state === "exited" && status.exit)
      return { state: "exited", result: status.exit, stopped: status.stopped ?? false };
    if (!isLive(status)) {
      await killLeftovers(status);
      // Its output went nowhere since: a dyno without logs is not taken back.
      return { state: "lost" };
    }
    const client = this.#client(id);
    try {
      await client.ask({ op: "hello" });
      return { state: "running" };
    } catch {
      const result = client.status?.exit;
      return result && client.status?.state === "exited"
        ? { state: "exited", result, stopped: client.status.stopped ?? false }
        : { state: "lost" };
    }
  }

  async wait(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<ExitResult> {
    return untilAborted(this.#client(id).wait(), options.signal);
  }

  async stop(id: string, options: StopOptions = {}): Promise<void> {
    this.#checkOpen();
    const signal = options.signal ?? "SIGTERM";
    checkSignal(signal);
    const client = this.#clients.find(id);
    if (!client) return;
    try {
      await client.ask({
        op: "stop",
        signal,
        timeoutMs: options.timeoutMs ?? 30_000,
        scope: options.scope ?? "all",
      });
    } catch (error) {
      if (DriverError.is(error) && error.code === "not-found") {
        // Ended meanwhile, or ends now: then the exit below is what was wanted.
      } else throw error;
    }
    if (client.status) await client.wait();
  }

  /** The main process of a dyno that runs; undefined for any other. */
  pid(id: string): number | undefined {
    const status = this.#clients.find(id)?.status;
    return status && isLive(status) ? status.pid : undefined;
  }

  async destroy(id: string, options: { readonly force?: boolean } = {}): Promise<void> {
    this.#checkOpen();
    const client = this.#clients.find(id);
    if (!client) return;
    const status = client.status;
    if (status && isLive(status)) {
      if (!options.force) {
        throw new DriverError(
          "failed",
          `Dyno "${id}" is running; stop it first, or destroy it with { force: true }`,
          { details: { id } },
        );
      }
      await this.stop(id, { timeoutMs: 0 });
    } else if (status) await killLeftovers(status);
    this.#clients.forget(id);
    await removeDirectory(this.#options.stateDirectory, client.directory);
    const address = status?.handle.address;
    if (address && "port" in address) this.#ports.release(address.port, id);
  }

  async inspect(id: string): Promise<DynoInspection> {
    const starting = this.#starting.get(id);
    if (starting) return { state: "starting", handle: starting };
    const client = this.#client(id);
    const status = client.status;
    if (!status) throw DriverError.notFound(id);
    const { handle } = status;
    if (!isLive(status)) {
      const result = status.exit ?? (await client.wait());
      return { state: "exited", handle, result };
    }
    return {
      state: "running",
      handle,
      ...(canSeeSockets ? { listening: listeningOf(status.containment, status.pid) } : {}),
    };
  }

  async list(): Promise<readonly DriverHandle[]> {
    this.#checkOpen();
    const { stateDirectory, startTimeoutMs } = this.#options;
    return liveDynos(stateDirectory, startTimeoutMs, (id) => this.#starting.has(id));
  }

  async listEnded(): Promise<readonly DriverHandle[]> {
    this.#checkOpen();
    return endedDynos(this.#options.stateDirectory, (id) => this.#starting.has(id));
  }

  async ready(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await untilBound(this.#client(id), options.signal);
  }

  async signal(id: string, name: string): Promise<void> {
    checkSignal(name);
    await this.#client(id).ask({ op: "signal", name, scope: "main" });
  }

  async exec(
    id: string,
    argv: readonly string[],
    options: {
      readonly tty?: { readonly columns: number; readonly rows: number };
      readonly env?: Readonly<Record<string, string>>;
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<DriverSession> {
    throwIfAborted(options.signal);
    if (argv.length === 0) throw new DriverError("invalid-spec", "exec needs a program to run");
    if (options.tty && !this.#capabilities.tty)
      throw new DriverError("not-supported", "There is no terminal without perl and /dev/ptmx");
    const client = this.#live(id);
    const connection = await Connection.ofDyno(client.directory, client.status);
    const session = new SocketSession(connection, () => client.wait());
    const close = () => void session.close();
    options.signal?.addEventListener("abort", close, { once: true });
    try {
      await connection.ask({
        op: "exec",
        argv,
        env: options.env ?? {},
        tty: options.tty,
        timeoutMs: options.timeoutMs,
      });
      return session;
    } catch (error) {
      connection.close();
      throw DriverError.from(error);
    }
  }

  async attach(id: string): Promise<DriverSession> {
    const client = this.#live(id);
    const connection = await Connection.ofDyno(client.directory, client.status);
    const session = new SocketSession(connection, () => client.wait());
    await connection.ask({ op: "attach" });
    return session;
  }

  async *logs(
    id: string,
    options: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogChunk> {
    for await (const { stream, time, bytes, starts, ends, partial, cursor } of this.#read(
      id,
      options,
      1,
    ))
      yield {
        stream,
        time,
        bytes: Buffer.from(bytes.subarray(starts[0], ends[0])),
        partial,
        cursor,
      };
  }

  logLines(
    id: string,
    options: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogLines> {
    return this.#read(id, options);
  }

  acknowledge(id: string, cursor: string): void {
    this.#clients.find(id)?.ack.write(cursor);
  }

  async *stats(
    id: string,
    options: { readonly intervalMs?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<DynoStats> {
    const client = this.#live(id);
    const status = client.status as StatusRecord;
    const intervalMs = options.intervalMs ?? 20_000;
    const stop = new AbortController();
    const end = () => stop.abort();
    client.wait().then(end, end);
    const signal = AbortSignal.any([
      stop.signal,
      this.#closing.signal,
      ...(options.signal ? [options.signal] : []),
    ]);
    while (!signal.aborted) {
      const sample = sampleStats(status.containment, client.load);
      if (sample.pids === 0) return;
      yield sample;
      await delay(intervalMs, undefined, { signal }).catch(() => {});
    }
  }

  events(signal: AbortSignal): AsyncIterable<DriverEvent> {
    return this.#events.follow(AbortSignal.any([signal, this.#closing.signal]));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#clients.close();
    await this.#launcher.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#read(
    id: string,
    options: { readonly since?: string; readonly signal?: AbortSignal },
    maxLines?: number,
  ): AsyncGenerator<LogLines> {
    const client = this.#client(id);
    await client.connect();
    const { waiter } = client;
    yield* readLog(
      client.directory,
      client.ack,
      {
        get over() {
          return waiter.over;
        },
        wait: () => untilAborted(waiter.wait(), options.signal).catch(() => {}),
      },
      { ...options, ...(maxLines !== undefined && { maxLines }) },
    );
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted)
      throw new DriverError("unavailable", "The driver is closed", { retryable: false });
  }

  #directoryOf(id: string): string {
    return dynoDirectory(this.#options.stateDirectory, id);
  }

  /** Takes the directory of the id, of which the file system sees to that there is one. */
  async #claim(id: string, directory: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await mkdir(directory, { mode: this.#options.users ? 0o711 : 0o700 });
        this.#starting.set(id, undefined);
        return;
      } catch (cause) {
        if (!existsSync(directory))
          throw DriverError.from(cause, "The state directory is unusable");
        const status = readStatus(directory);
        if (attempt > 0 || !status || isLive(status)) {
          throw new DriverError(
            "already-exists",
            `There is a dyno with the id "${id}" already; destroy it first`,
            { details: { id }, cause },
          );
        }
        await this.destroy(id, { force: true });
      }
    }
  }

  #client(id: string): DynoClient {
    this.#checkOpen();
    return this.#clients.get(id);
  }

  #live(id: string): DynoClient {
    this.#checkOpen();
    return this.#clients.live(id);
  }
}
