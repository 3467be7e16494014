import type { Clock } from "../clock.ts";
import { sleep, systemClock } from "../clock.ts";
import { throwIfAborted, untilAborted } from "../driver/aborted.ts";
import { defineCapabilities } from "../driver/capabilities.ts";
import { checkSignal, checkSpec, isDynoId } from "../driver/check-spec.ts";
import type { DriverHandle, DynoDriver, DynoSpec, DynoStats } from "../driver/contract.ts";
import { DriverError } from "../driver/errors.ts";
import { MemoryDyno } from "./memory/dyno.ts";
import type { MemoryScripts } from "./memory/script.ts";
import { MemoryExec, memorySession } from "./memory/session.ts";

/** What outlives a memory driver: hand it to the next one to play a restart of the manifold. */
export class MemoryWorld {
  readonly dynos = new Map<string, MemoryDyno>();
  /** Next port that is handed out; nothing listens on it. */
  nextPort = 20_000;
  /** Dynos ever started. */
  started = 0;

  /** How many live processes have this word in their command line. */
  processes(word: string): number {
    let count = 0;
    for (const { isLive, argv, forks } of this.dynos.values()) {
      if (!isLive) continue;
      if (argv.some((one) => one.includes(word))) count++;
      count += forks.filter((line) => line.includes(word)).length;
    }
    return count;
  }
}

export interface MemoryDriverOptions {
  /** Use the manifold's; default the machine's. */
  readonly clock?: Clock;
  /** What dynos do; default: listen at once and run for ever. */
  readonly script?: MemoryScripts;
  readonly world?: MemoryWorld;
  /** Declares and provides measurements; default false. */
  readonly stats?: boolean;
  /** Called first by every operation; throw to play a driver that cannot be reached. */
  readonly fault?: (operation: keyof DynoDriver) => void;
}

const capabilities = (stats: boolean) =>
  defineCapabilities({
    signal: true,
    exec: true,
    attach: true,
    tty: true,
    logs: true,
    logOverflow: "drop",
    stats,
    recover: "running-and-results",
    containment: "complete",
    limits: { memory: "hard", pids: "hard" },
    isolation: { env: true, filesystem: true, processes: true },
    missingBinary: "exit-127",
  });

/**
 * A driver without processes: dynos are scripted and time is the clock's. For tests of
 * everything above a driver.
 *
 * @example
 * const clock = virtualClock();
 * const driver = memoryDriver({ clock, script: { exitAfterMs: 5000, exitCode: 1 } });
 */
export function memoryDriver(
  options: MemoryDriverOptions = {},
): DynoDriver & { readonly world: MemoryWorld } {
  const { clock = systemClock, script, world = new MemoryWorld(), fault } = options;
  const declared = capabilities(options.stats ?? false);

  const find = (id: string): MemoryDyno => {
    const dyno = world.dynos.get(id);
    if (!dyno) throw DriverError.notFound(id);
    return dyno;
  };
  const live = (id: string): MemoryDyno => {
    const dyno = find(id);
    if (!dyno.isLive) throw DriverError.notFound(id);
    return dyno;
  };

  return {
    world,
    info: () => ({ name: "memory", version: "0.1.0", interfaceRange: "^1.0.0" }),
    capabilities: () => declared,
    async start(spec: DynoSpec, { signal } = {}) {
      fault?.("start");
      throwIfAborted(signal);
      checkSpec(spec, declared);
      if (world.dynos.get(spec.id)?.isLive) {
        throw new DriverError("already-exists", `A dyno with the id "${spec.id}" is alive`);
      }
      const chosen = (typeof script === "function" ? script(spec) : script) ?? {};
      if (chosen.startDelayMs) await sleep(clock, chosen.startDelayMs, signal);
      throwIfAborted(signal);
      if (chosen.startError) {
        const { code, message = `The script says ${code}`, retryable } = chosen.startError;
        throw new DriverError(code, message, retryable === undefined ? {} : { retryable });
      }
      const handle: DriverHandle = {
        version: 1,
        driver: "memory",
        id: spec.id,
        labels: spec.labels,
        startedAt: clock.now(),
        ...(spec.port && { address: { host: "127.0.0.1", port: world.nextPort++ } }),
      };
      world.dynos.set(spec.id, new MemoryDyno(clock, spec, handle, chosen));
      world.started++;
      return handle;
    },
    async recover(handle) {
      fault?.("recover");
      const id: unknown = handle?.id;
      if (handle?.version !== 1 || handle.driver !== "memory" || !isDynoId(id))
        return { state: "lost" };
      const dyno = world.dynos.get(id);
      if (!dyno || dyno.script.lostOnRecover) return { state: "lost" };
      return dyno.result ? { state: "exited", result: dyno.result } : { state: "running" };
    },
    async wait(id, { signal } = {}) {
      fault?.("wait");
      const dyno = find(id);
      return dyno.result ?? untilAborted(dyno.exited, signal);
    },
    async stop(id, { signal = "SIGTERM", timeoutMs = 30_000 } = {}) {
      fault?.("stop");
      checkSignal(signal);
      const dyno = world.dynos.get(id);
      if (!dyno?.isLive) return;
      if (timeoutMs > 0) {
        dyno.signal(signal);
        const ended = new AbortController();
        await Promise.race([dyno.exited, sleep(clock, timeoutMs, ended.signal)]);
        ended.abort();
      }
      dyno.signal("SIGKILL");
      await dyno.exited;
    },
    async destroy(id, { force = false } = {}) {
      fault?.("destroy");
      const dyno = world.dynos.get(id);
      if (!dyno) return;
      if (dyno.isLive && !force) {
        throw new DriverError("failed", `The dyno "${id}" still runs; stop it or pass force`);
      }
      dyno.signal("SIGKILL");
      world.dynos.delete(id);
    },
    async inspect(id) {
      fault?.("inspect");
      const dyno = find(id);
      const { handle, result } = dyno;
      const port = handle.address && "port" in handle.address ? handle.address.port : undefined;
      return {
        state: result ? "exited" : "running",
        handle,
        ...(dyno.listening && port !== undefined && { listening: [{ host: "0.0.0.0", port }] }),
        ...(result && { result }),
      };
    },
    async list() {
      fault?.("list");
      return [...world.dynos.values()].filter((dyno) => dyno.isLive).map(({ handle }) => handle);
    },
    async ready(id, { signal } = {}) {
      const dyno = find(id);
      while (!dyno.listening) {
        throwIfAborted(signal);
        if (!dyno.isLive) throw DriverError.notFound(id);
        await dyno.changed(signal);
      }
    },
    async signal(id, name) {
      fault?.("signal");
      checkSignal(name);
      live(id).signal(name);
    },
    async exec(id, argv, options) {
      fault?.("exec");
      throwIfAborted(options?.signal);
      return new MemoryExec(live(id), argv, clock, options).session();
    },
    async attach(id) {
      fault?.("attach");
      return memorySession(live(id));
    },
    async *logs(id, options) {
      yield* find(id).logs.read(options);
    },
    acknowledge: (id, cursor) => world.dynos.get(id)?.logs.acknowledge(cursor),
    async *stats(id, { intervalMs = 20_000, signal } = {}): AsyncGenerator<DynoStats> {
      if (!declared.stats) {
        throw new DriverError("not-supported", "This memory driver was made without stats");
      }
      const dyno = live(id);
      while (dyno.isLive && !signal?.aborted) {
        yield { time: clock.now(), ...dyno.stats };
        const next = new AbortController();
        void dyno.exited.then(() => next.abort());
        signal?.addEventListener("abort", () => next.abort(), { once: true });
        await sleep(clock, intervalMs, next.signal);
      }
    },
    async close() {},
  };
}
