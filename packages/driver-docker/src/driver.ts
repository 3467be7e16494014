import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type {
  DriverCapabilities,
  DriverEvent,
  DriverHandle,
  DriverSession,
  DynoDriver,
  DynoInspection,
  DynoSpec,
  DynoStats,
  ExitResult,
  LogChunk,
  RecoverResult,
  StopOptions,
} from "@dynokit/manifold";
import {
  checkSignal,
  checkSpec,
  DriverError,
  escalatingStop,
  throwIfAborted,
  untilAborted,
} from "@dynokit/manifold";
import type Docker from "dockerode";
import { capabilitiesOf } from "./capabilities.ts";
import { containerOptions, LABEL } from "./container-spec.ts";
import { Containers, handleOf } from "./containers.ts";
import {
  connect,
  engineError,
  ensureNetwork,
  ignoreMissing,
  isMissing,
  slugError,
} from "./engine.ts";
import { execIn, signalAll } from "./exec.ts";
import { exitResult } from "./exit.ts";
import { parsePosition, toChunks } from "./log-chunks.ts";
import { demultiplex, sinceOf } from "./log-stream.ts";
import { MemoryEvents } from "./memory-events.ts";
import { configSchema, type DockerDriverOptions, optionsSchema, type Settings } from "./options.ts";
import { hasQuotas } from "./quotas.ts";
import { dockerSession } from "./session.ts";
import { verifySlug } from "./slug.ts";
import { type EngineStats, toDynoStats } from "./stats.ts";

/**
 * Runs each dyno as a container of a Docker Engine (spec/drivers.md §6).
 *
 * The slug is unpacked to `/app` of the image. Containers, their output and their exit results
 * belong to the engine, so they outlive this process and are found again by their labels.
 * @throws DriverError `invalid-spec` for options that do not fit.
 */
export function dockerDriver(options: DockerDriverOptions): DynoDriver {
  const parsed = optionsSchema.safeParse(options);
  if (!parsed.success)
    throw new DriverError("invalid-spec", `Options of the Docker driver: ${parsed.error.message}`);
  return new DockerDriver(parsed.data);
}

class DockerDriver implements DynoDriver {
  readonly configSchema = configSchema;
  readonly #docker: Docker;
  readonly #settings: Settings;
  readonly #containers: Containers;
  readonly #memory: MemoryEvents;
  readonly #capabilities: DriverCapabilities;
  readonly #closing = new AbortController();
  readonly #open = new Set<Readable>();
  #network: Promise<string> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#docker = connect(settings);
    this.#capabilities = capabilitiesOf(hasQuotas(settings.socketPath));
    this.#containers = new Containers(this.#docker, settings.platform, this.#closing.signal);
    this.#memory = new MemoryEvents(this.#docker, settings.platform);
  }

  info() {
    return { name: "docker", version: "0.1.0", interfaceRange: "^1.0.0" };
  }

  capabilities(): DriverCapabilities {
    return this.#capabilities;
  }

  async *fingerprint(signal: AbortSignal): AsyncGenerator<Readonly<Record<string, unknown>>> {
    while (!signal.aborted) {
      try {
        const info = (await this.#docker.info()) as Record<string, unknown>;
        yield {
          healthy: true,
          engine: info["ServerVersion"],
          cgroup: info["CgroupVersion"],
          liveRestore: info["LiveRestoreEnabled"],
        };
      } catch (error) {
        yield { healthy: false, reason: engineError(error, "Asking the engine").message };
      }
      // An aborted wait is the end of the iteration, not a fault.
      await delay(30_000, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async prepare(spec: DynoSpec): Promise<void> {
    if (spec.slug) await verifySlug(spec.slug);
    await this.#ensureNetwork();
  }

  async start(
    spec: DynoSpec,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<DriverHandle> {
    throwIfAborted(signal);
    const { cwd, ...rest } = spec;
    // Whether a directory exists is for the engine to say: its host may be another one.
    checkSpec(rest, this.#capabilities);
    if (cwd !== undefined && spec.slug)
      throw new DriverError("invalid-spec", 'Give "slug" or "cwd", not both');
    if (spec.limits?.diskBytes !== undefined && !this.#capabilities.limits.disk)
      throw new DriverError(
        "not-supported",
        'The engine can\'t hold the limit "diskBytes": its data is on a file system without project quotas (xfs with pquota has them); leave it out, or move the data',
      );
    await this.prepare(spec);
    const create = containerOptions(spec, this.#settings, await this.#ensureNetwork());
    let container: Docker.Container;
    try {
      container = await this.#docker.createContainer(create);
    } catch (error) {
      throw engineError(error, `Creating the container of dyno ${spec.labels.dyno}`);
    }
    try {
      if (spec.slug?.path !== undefined)
        await container
          .putArchive(createReadStream(spec.slug.path), { path: "/app" })
          .catch((error: unknown) => {
            throw slugError(error, `Unpacking slug ${spec.slug?.id} for ${spec.labels.dyno}`);
          });
      throwIfAborted(signal);
      await container.start();
      throwIfAborted(signal);
      if (spec.tty) await container.resize({ w: spec.tty.columns, h: spec.tty.rows });
      return handleOf(await container.inspect());
    } catch (error) {
      await container.remove({ force: true, v: true }).catch((fault: unknown) => {
        if (!isMissing(fault)) throw engineError(fault, `Removing the container of ${spec.id}`);
      });
      throw engineError(error, `Starting dyno ${spec.labels.dyno}`);
    }
  }

  async recover(handle: DriverHandle): Promise<RecoverResult> {
    if (handle?.version !== 1 || handle.driver !== "docker" || typeof handle.id !== "string")
      return { state: "lost" };
    const info = await this.#containers.find(handle.id);
    if (!info) return { state: "lost" };
    return info.State.Running
      ? { state: "running" }
      : { state: "exited", result: await this.#result(info) };
  }

  async wait(id: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<ExitResult> {
    await this.#containers.inspect(id);
    const release = this.#memory.watch();
    try {
      // Answers at once for a container that has ended already.
      await untilAborted(this.#containers.ended(id, signal), signal);
    } finally {
      release();
    }
    return this.#result(await this.#containers.inspect(id));
  }

  async stop(id: string, options: StopOptions = {}): Promise<void> {
    const { signal = "SIGTERM", timeoutMs = 30_000, scope = "all" } = options;
    const info = await this.#containers.find(id);
    if (!info?.State.Running) return;
    const container = this.#containers.of(id);
    await escalatingStop({
      timeoutMs,
      exited: this.#containers.ended(id),
      // The engine signals only its init, which passes it to one child; Heroku signals all.
      ask: () =>
        scope === "all"
          ? signalAll(container, signal).catch(() => this.#containers.kill(id, signal))
          : this.#containers.kill(id, signal),
      kill: () => this.#containers.kill(id, "SIGKILL"),
    });
  }

  async destroy(id: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    const info = await this.#containers.find(id);
    if (!info) return;
    if (info.State.Running && !force)
      throw new DriverError(
        "failed",
        `Dyno ${id} is running: stop it first, or destroy it with force.`,
      );
    try {
      await this.#containers.of(id).remove({ force: true, v: true });
    } catch (error) {
      if (!isMissing(error)) throw engineError(error, `Removing the container of ${id}`);
    }
  }

  async inspect(id: string): Promise<DynoInspection> {
    const info = await this.#containers.inspect(id);
    const handle = handleOf(info);
    if (info.State.Running) {
      const listening = handle.address && (await this.#containers.listening(id));
      return { state: "running", handle, ...(listening && { listening }) };
    }
    if (info.State.Status === "created") return { state: "starting", handle };
    return { state: "exited", handle, result: await this.#result(info) };
  }

  async list(): Promise<readonly DriverHandle[]> {
    return (await this.#containers.all(false))
      .filter(({ State }) => State.Running)
      .map((info) => handleOf(info));
  }

  async listEnded(): Promise<readonly DriverHandle[]> {
    const ended = ({ State }: Docker.ContainerInspectInfo) =>
      !State.Running && State.Status !== "created";
    return (await this.#containers.all(true)).filter(ended).map((info) => handleOf(info));
  }

  async signal(id: string, name: string): Promise<void> {
    checkSignal(name);
    const info = await this.#containers.inspect(id);
    if (!info.State.Running) throw new DriverError("not-found", `Dyno ${id} has ended.`);
    await this.#containers.kill(id, name);
  }

  async exec(
    id: string,
    argv: readonly string[],
    options: Parameters<NonNullable<DynoDriver["exec"]>>[2] = {},
  ): Promise<DriverSession> {
    const info = await this.#containers.inspect(id);
    if (!info.State.Running) throw new DriverError("not-found", `Dyno ${id} has ended.`);
    return execIn(this.#containers.of(id), argv, options);
  }

  async attach(id: string): Promise<DriverSession> {
    const info = await this.#containers.inspect(id);
    const container = this.#containers.of(id);
    const stream = await container
      .attach({ stream: true, stdin: true, stdout: true, stderr: true, logs: true, hijack: true })
      .catch((error: unknown) => {
        throw engineError(error, `Attaching to dyno ${id}`);
      });
    return dockerSession(stream as import("node:stream").Duplex, {
      tty: info.Config.Tty,
      resize: ({ columns, rows }) => container.resize({ w: columns, h: rows }),
      signal: (name) => this.signal(id, name),
      wait: () => this.wait(id),
      closed: async () => {
        if ((await this.#containers.find(id))?.State.Running)
          await signalAll(container, "SIGHUP").catch(ignoreEnded);
      },
    });
  }

  async *logs(
    id: string,
    { since, signal }: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogChunk> {
    const { Config: config } = await this.#containers.inspect(id);
    let cursor = since;
    // The engine ends a stream with the container, also before a slow reader had all of it: what is
    // left is asked for until nothing is. A terminal's output has no records to continue after.
    for (;;) {
      const from = cursor;
      for await (const chunk of this.#records(id, config.Tty, cursor, signal)) {
        cursor = chunk.cursor;
        yield chunk;
      }
      if (signal?.aborted || this.#closing.signal.aborted || config.Tty || cursor === from) return;
    }
  }

  /** What the engine has after a cursor, and what follows until it ends the stream. */
  async *#records(
    id: string,
    tty: boolean,
    since: string | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<LogChunk> {
    const position = since === undefined ? undefined : parsePosition(since);
    const source = (await this.#containers
      .of(id)
      .logs({
        follow: true,
        stdout: true,
        stderr: true,
        timestamps: true,
        ...(position ? { since: sinceOf(position.time) as unknown as number } : {}),
      })
      .catch(ignoreMissing)) as Readable | undefined;
    if (!source) return;
    yield* this.#reading(source, signal, () => toChunks(demultiplex(source, tty), position));
  }

  async *stats(
    id: string,
    options: { readonly intervalMs?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<DynoStats> {
    const { intervalMs = 20_000, signal } = options;
    // One question for all samples: each is a connection of its own until the dyno ends.
    const done = new AbortController();
    const ended = this.#containers.ended(id, done.signal).catch(() => undefined);
    try {
      yield* this.#samples(id, intervalMs, signal, ended);
    } finally {
      done.abort();
    }
  }

  async *#samples(
    id: string,
    intervalMs: number,
    signal: AbortSignal | undefined,
    ended: Promise<void>,
  ): AsyncGenerator<DynoStats> {
    while (!signal?.aborted) {
      // Without `one-shot` the engine takes two samples, two seconds apart.
      const query = { stream: false, "one-shot": true } as { stream: false };
      const stats = (await this.#containers.of(id).stats(query).catch(ignoreMissing)) as
        | EngineStats
        | undefined;
      if (!(await this.#containers.find(id))?.State.Running || !stats) return;
      yield toDynoStats(stats);
      const next = new AbortController();
      const over = signal ? AbortSignal.any([signal, next.signal]) : next.signal;
      await Promise.race([
        delay(intervalMs, undefined, { signal: over }).catch(() => undefined),
        ended,
      ]);
      next.abort();
    }
  }

  async *events(signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const label = [`${LABEL.platform}=${this.#settings.platform}`];
    const asked = this.#docker.getEvents({
      filters: { type: ["container"], event: ["oom"], label },
    }) as Promise<Readable>;
    const source = await asked;
    yield* this.#reading(source, signal, async function* () {
      let rest = "";
      for await (const chunk of source) {
        const lines = (rest + String(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines.filter(Boolean)) {
          const event = JSON.parse(line) as {
            time: number;
            Actor: { Attributes: Record<string, string> };
          };
          const id = event.Actor.Attributes[LABEL.id];
          if (id !== undefined) yield { type: "oom", id, at: event.time * 1000 } as const;
        }
      }
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#memory.close();
    for (const stream of this.#open) stream.destroy();
    this.#open.clear();
  }

  /** Ends the engine's stream with the iteration, with `signal`, and with the driver. */
  async *#reading<T>(
    source: Readable,
    signal: AbortSignal | undefined,
    read: () => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    const end = () => source.destroy();
    this.#open.add(source);
    signal?.addEventListener("abort", end, { once: true });
    try {
      if (!signal?.aborted) yield* read();
    } catch (error) {
      // A stream that we ended ourselves reports a premature close.
      if (!source.destroyed) throw engineError(error, "Reading from the engine");
    } finally {
      signal?.removeEventListener("abort", end);
      this.#open.delete(source);
      source.destroy();
    }
  }

  /** One network for all starts; a failure is tried again by the next one. */
  #ensureNetwork(): Promise<string> {
    this.#network ??= ensureNetwork(this.#docker, this.#settings).catch((error: unknown) => {
      this.#network = undefined;
      throw error;
    });
    return this.#network;
  }

  /** The engine says that memory was the reason only when it killed the main process itself. */
  async #result(info: Docker.ContainerInspectInfo): Promise<ExitResult> {
    const result = exitResult(info);
    if (result.oomKilled || result.signal !== "SIGKILL") return result;
    return { ...result, oomKilled: await this.#memory.ran(info.Id, result) };
  }
}

function ignoreEnded(): void {
  // The dyno ended by itself before the signal came.
}
