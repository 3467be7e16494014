import { randomBytes } from "node:crypto";
import { chmodSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
  canConnect,
  checkSignal,
  checkSpec,
  DriverError,
  defineCapabilities,
  giveToUser,
  isDynoId,
  processDriver,
  throwIfAborted,
} from "@dynokit/manifold";
import { outerLimits } from "./around.ts";
import { sandboxLine } from "./bubblewrap.ts";
import { bundleText, containerLine } from "./bundle.ts";
import { Containers } from "./containers.ts";
import { canMountDisks, MIN_DISK_BYTES, mountDisk, unmountBelow } from "./disk.ts";
import { carried, outerEnvironment } from "./environment.ts";
import { innerExit } from "./exit.ts";
import { fromInner, PORT_LABEL, SOCKET_LABEL, toInner } from "./handle.ts";
import { type Home, makeHome } from "./home.ts";
import { type Host, probeHost } from "./host.ts";
import { type Place, SIGNAL_RESET } from "./inside.ts";
import { joinLine } from "./join.ts";
import { hasOwnNetwork, Network } from "./network.ts";
import { parseOptions, type SandboxDriverOptions, type Settings } from "./options.ts";
import { configSchema, hostPathsOf, mountPaths } from "./paths.ts";
import { isPast, mainProcess, userOf } from "./processes.ts";
import { tryRuntime } from "./try-runtime.ts";

const VERSION = "0.1.0";
const POLL_MS = 2;
const READY_INTERVAL_MS = 50;

/**
 * Dynos with the isolation of a container and without a daemon, through bubblewrap or, as root, an
 * OCI runtime (spec/drivers.md §5): namespaces of their own, a read-only system, no capability, a filter of
 * system calls. Each is held by a supervisor of the process driver, so that dynos, their output
 * and exit results outlive the calling program.
 *
 * As root every dyno has a user id of the host to itself and hard limits by control groups.
 * Without root all run as the current user, memory is sampled and CPU is not limited.
 *
 * @example
 * const driver = sandboxDriver();
 * const handle = await driver.start({ id: "a", command: "echo hi", env: {}, labels });
 * const result = await driver.wait(handle.id);
 * @throws DriverError `invalid-spec` for options that do not fit, `unavailable` where bubblewrap
 * or perl is missing or user namespaces are not allowed.
 */
export function sandboxDriver(options: SandboxDriverOptions = {}): DynoDriver {
  return new SandboxDriver(parseOptions(options));
}

class SandboxDriver implements DynoDriver {
  readonly configSchema = configSchema;
  readonly #settings: Settings;
  readonly #host: Host;
  readonly #home: Home;
  readonly #inner: ReturnType<typeof processDriver>;
  readonly #capabilities: DriverCapabilities;
  /** With a way out for dynos. */
  readonly #network: Network | undefined;
  /** With an OCI runtime. */
  readonly #containers: Containers | undefined;
  #closed: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#host = probeHost(settings);
    this.#network = settings.policy && new Network(settings.policy);
    this.#home = makeHome(settings);
    const oci = settings.runtime !== "bwrap";
    this.#containers = oci
      ? new Containers(this.#host.runtime, this.#home.containers, settings.stateDirectory)
      : undefined;
    this.#inner = processDriver({
      stateDirectory: settings.stateDirectory,
      logs: settings.logs,
      controlGroups: settings.controlGroups,
      startTimeoutMs: settings.startTimeoutMs,
      // A runtime changes the user itself.
      ...(settings.users && !oci ? { users: settings.users } : {}),
      ...(settings.ports ? { ports: settings.ports } : {}),
    });
    // That driver closed it for all but itself; the bridges are of the dynos' users.
    if (oci) chmodSync(settings.stateDirectory, 0o711);
    const inner = this.#inner.capabilities();
    if (oci) tryRuntime(settings, this.#host, this.#home, inner.containment === "complete");
    this.#capabilities = defineCapabilities({
      ...inner,
      containment: "complete",
      limits: {
        ...inner.limits,
        pids: inner.limits.pids === "none" ? "uid" : inner.limits.pids,
        disk: true,
      },
      isolation: {
        env: true,
        filesystem: true,
        processes: true,
        network: settings.egress !== "host",
      },
      missingBinary: "exit-127",
    });
  }

  info() {
    return { name: "sandbox", version: VERSION, interfaceRange: "^1.0.0" };
  }

  capabilities(): DriverCapabilities {
    return this.#capabilities;
  }

  async *fingerprint(signal: AbortSignal): AsyncGenerator<Readonly<Record<string, unknown>>> {
    for await (const value of this.#inner.fingerprint?.(signal) ?? []) {
      yield {
        ...value,
        containment: "complete",
        egress: this.#settings.egress,
        seccomp: this.#settings.seccomp,
        runtime: this.#settings.runtime,
        [this.#settings.runtime]: this.#host.runtime,
      };
    }
  }

  async start(
    spec: DynoSpec,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<DriverHandle> {
    checkSpec(spec, this.#capabilities);
    if (spec.limits?.cpus !== undefined && !this.#capabilities.limits.cpu)
      throw new DriverError(
        "not-supported",
        'The limit "cpus" needs control groups that can be written; leave it out, or run as root or with delegation',
      );
    const own = this.#settings.egress !== "host";
    const socket =
      spec.port && own ? join(this.#home.sockets, randomBytes(16).toString("hex")) : undefined;
    const port = socket === undefined ? undefined : this.#settings.port;
    const disk = this.#diskOf(spec);
    const directory = join(this.#settings.stateDirectory, spec.id);
    const root = this.#settings.users !== undefined;
    const paths = hostPathsOf(spec, this.#settings.hostPaths, root ? directory : undefined);
    if (paths && spec.cwd === undefined)
      throw new DriverError("invalid-spec", '"config.paths" needs a "cwd" in one of them');
    // Without loop devices, or the right to mount them, the disk is one in memory (spec/drivers.md §5.7).
    const loop = disk !== undefined && canMountDisks() ? disk : undefined;
    const mounts = loop !== undefined || (root && paths !== undefined);
    const gate = join(directory, "gate");
    const waits = this.#network !== undefined || mounts || this.#containers !== undefined;
    const place = {
      directory: spec.cwd ?? join(directory, "app"),
      memoryDisk: loop === undefined ? disk : undefined,
      paths,
      socket,
    };
    const parts = [this.#host, this.#home, this.#settings] as const;
    const line = this.#containers
      ? containerLine(spec, { ...place, gate, state: directory }, ...parts)
      : sandboxLine(
          spec,
          {
            ...place,
            gate: waits ? gate : undefined,
            grouped: this.#capabilities.limits.pids === "hard",
          },
          ...parts,
        );
    const { limits, ...rest } = spec;
    const outer = outerLimits(limits);
    const handle = await this.#inner.start(
      {
        ...rest,
        command: line,
        env: outerEnvironment(spec, port),
        port: spec.port === true && !own,
        ...(outer ? { limits: outer } : {}),
        labels: {
          ...spec.labels,
          ...(socket === undefined
            ? {}
            : { [SOCKET_LABEL]: socket, [PORT_LABEL]: String(this.#settings.port) }),
        },
      },
      options,
    );
    if (waits) await this.#makeReady(spec, { ...place, gate, loop }, options.signal);
    await this.#untilInside(spec.id, options.signal);
    if (mounts) await unmountBelow(directory);
    return fromInner(handle);
  }

  async recover(handle: DriverHandle): Promise<RecoverResult> {
    const found = await this.#inner.recover(toInner(handle));
    if (found.state === "running") await this.#network?.putBack();
    return found.state === "exited" ? { ...found, result: innerExit(found.result) } : found;
  }

  async wait(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<ExitResult> {
    return innerExit(await this.#inner.wait(id, options));
  }

  async stop(id: string, options: StopOptions = {}): Promise<void> {
    const signal = options.signal ?? "SIGTERM";
    checkSignal(signal);
    if (options.scope !== "main" || options.timeoutMs === 0) return this.#inner.stop(id, options);
    // The main process of the process driver is bubblewrap, which ignores what is not for it.
    await this.#send(id, signal);
    return this.#inner.stop(id, options);
  }

  async destroy(id: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const socket = await this.#socketOf(id);
    // Somebody who started it and was killed may have left its disk or its paths mounted.
    if (this.#settings.users && isDynoId(id))
      await unmountBelow(join(this.#settings.stateDirectory, id));
    await this.#inner.destroy(id, options);
    await this.#containers?.remove(id);
    if (socket !== undefined) await rm(socket, { force: true });
  }

  async inspect(id: string): Promise<DynoInspection> {
    const { handle, result, ...rest } = await this.#inner.inspect(id);
    return {
      ...rest,
      handle: fromInner(handle),
      ...(result ? { result: innerExit(result) } : {}),
    };
  }

  async list(): Promise<readonly DriverHandle[]> {
    await this.#containers?.sweep();
    return (await this.#inner.list()).map(fromInner);
  }

  async listEnded(): Promise<readonly DriverHandle[]> {
    return ((await this.#inner.listEnded?.()) ?? []).map(fromInner);
  }

  async ready(id: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const socket = await this.#socketOf(id);
    if (socket === undefined) return this.#inner.ready?.(id, options);
    // The bridge begins to listen when the dyno does.
    while (!(await canConnect({ socketPath: socket }))) {
      if ((await this.#inner.inspect(id)).state === "exited") throw DriverError.notFound(id);
      throwIfAborted(options.signal);
      await delay(READY_INTERVAL_MS);
    }
  }

  async signal(id: string, name: string): Promise<void> {
    checkSignal(name);
    const { state } = await this.#inner.inspect(id);
    if (state === "exited") throw DriverError.notFound(id);
    await this.#send(id, name);
  }

  async exec(
    id: string,
    argv: readonly string[],
    options: Parameters<NonNullable<DynoDriver["exec"]>>[2] = {},
  ): Promise<DriverSession> {
    if (argv.length === 0) throw new DriverError("invalid-spec", "exec needs a program to run");
    const outer = this.#inner.pid(id);
    const main = outer === undefined ? undefined : mainProcess(outer);
    if (main === undefined) throw DriverError.notFound(id);
    const { env, ...rest } = options;
    const session = await this.#inner.exec?.(id, joinLine(main, argv, this.#host, this.#home), {
      ...rest,
      env: carried(env ?? {}),
    });
    return session as DriverSession;
  }

  async attach(id: string): Promise<DriverSession> {
    const session = (await this.#inner.attach?.(id)) as DriverSession;
    return {
      output: session.output,
      write: (bytes) => session.write(bytes),
      end: () => session.end(),
      resize: (size) => session.resize(size),
      signal: (name) => this.#send(id, name),
      wait: async () => innerExit(await session.wait()),
      close: () => session.close(),
    };
  }

  logs(
    id: string,
    options: { readonly since?: string; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<LogChunk> {
    return this.#inner.logs?.(id, options) as AsyncIterable<LogChunk>;
  }

  acknowledge(id: string, cursor: string): void {
    this.#inner.acknowledge?.(id, cursor);
  }

  stats(
    id: string,
    options: { readonly intervalMs?: number; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<DynoStats> {
    return this.#inner.stats?.(id, options) as AsyncIterable<DynoStats>;
  }

  events(signal: AbortSignal): AsyncIterable<DriverEvent> {
    return this.#inner.events?.(signal) as AsyncIterable<DriverEvent>;
  }

  close(): Promise<void> {
    this.#closed ??= this.#inner.close().then(() => this.#network?.sweep());
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Size of the dyno's disk; undefined: its code is on that of the host. */
  #diskOf(spec: DynoSpec): number | undefined {
    const asked = spec.limits?.diskBytes;
    if (asked === undefined) return spec.cwd === undefined ? this.#settings.diskBytes : undefined;
    if (spec.cwd !== undefined)
      throw new DriverError(
        "not-supported",
        'The limit "diskBytes" is for the copy of a slug, not for a "cwd"; leave it out',
      );
    if (asked < MIN_DISK_BYTES)
      throw new DriverError(
        "invalid-spec",
        `The limit "diskBytes" is ${asked}; it must be at least ${MIN_DISK_BYTES}`,
      );
    return asked;
  }

  /** Does what root has to do for a dyno that waits for it, and lets it go on. */
  async #makeReady(
    spec: DynoSpec,
    place: Place & { readonly gate: string; readonly loop: number | undefined },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { id } = spec;
    const { gate, loop, paths } = place;
    try {
      const directory = join(this.#settings.stateDirectory, id);
      const users = this.#settings.users;
      const reserved =
        this.#containers && users
          ? await giveToUser(this.#settings.stateDirectory, directory, users)
          : undefined;
      if (loop !== undefined)
        await mountDisk(join(directory, "app"), join(directory, "disk"), loop);
      if (paths && users) {
        const outer = this.#inner.pid(id);
        // Ended already: its output and its result say why.
        if (outer === undefined) return;
        await mountPaths(paths, directory, reserved ?? userOf(outer));
      }
      if (this.#network) {
        const pid = await this.#until(id, signal, hasOwnNetwork);
        if (pid === undefined) return;
        await this.#network.attach(pid);
      }
      // Whole when it is seen.
      const parts = [this.#host, this.#home, this.#settings] as const;
      const text = reserved === undefined ? "" : bundleText(reserved, spec, place, ...parts);
      await writeFile(`${gate}.new`, text);
      await rename(`${gate}.new`, gate);
    } catch (error) {
      // Stopped meanwhile: then there is nothing left to get ready.
      if (DriverError.is(error) && error.code === "failed" && this.#inner.pid(id) === undefined)
        return;
      await this.destroy(id, { force: true });
      throw error;
    }
  }

  /** Until the dyno's program runs, and can be reached by signals, or all is over already. */
  async #untilInside(id: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#until(id, signal, (outer) => {
      const main = mainProcess(outer);
      return main !== undefined && isPast(main, SIGNAL_RESET);
    });
  }

  /** The outermost process once it is so far; undefined when it has ended. */
  async #until(
    id: string,
    signal: AbortSignal | undefined,
    isSoFar: (outer: number) => boolean,
  ): Promise<number | undefined> {
    const deadline = Date.now() + this.#settings.startTimeoutMs;
    for (;;) {
      const outer = this.#inner.pid(id);
      if (outer === undefined || isSoFar(outer)) return outer;
      if (signal?.aborted || Date.now() > deadline) {
        await this.destroy(id, { force: true });
        throwIfAborted(signal);
        throw new DriverError(
          "unavailable",
          `Dyno "${id}" did not enter its sandbox within ${this.#settings.startTimeoutMs} ms`,
        );
      }
      await delay(POLL_MS);
    }
  }

  /** To the main process inside; nothing once it is gone. */
  async #send(id: string, name: string): Promise<void> {
    const outer = this.#inner.pid(id);
    const main = outer === undefined ? undefined : mainProcess(outer);
    if (main === undefined) return;
    try {
      process.kill(main, checkSignal(name));
    } catch {
      // Ended meanwhile.
    }
  }

  async #socketOf(id: string): Promise<string | undefined> {
    try {
      return (await this.#inner.inspect(id)).handle.labels[SOCKET_LABEL];
    } catch (error) {
      if (DriverError.is(error) && error.code === "not-found") return undefined;
      throw error;
    }
  }
}
