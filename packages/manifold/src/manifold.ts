import { randomUUID } from "node:crypto";
import { EventEmitter } from "eventemitter3";
import PQueue from "p-queue";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { AppControl } from "./control/app.ts";
import { drainAll } from "./control/drain.ts";
import type { PlanContext } from "./control/formation-plan.ts";
import type { Host } from "./control/host.ts";
import { driverName, messageOf } from "./control/host.ts";
import { probeUntilBound } from "./control/probe.ts";
import type { Found } from "./control/recovery.ts";
import { recoverAll } from "./control/recovery.ts";
import { runtimeMetricsLines } from "./control/runtime-metrics.ts";
import type { DriverHandle, DynoDriver } from "./driver/contract.ts";
import { ManifoldError } from "./errors.ts";
import { logLines } from "./log-lines.ts";
import type { Logger } from "./logger.ts";
import { silentLogger } from "./logger.ts";
import type { PolicyOptions, PresetName } from "./policy/policy.ts";
import { policyPresets } from "./policy/presets.ts";
import { resolvePolicy } from "./policy/resolve.ts";
import type { DynoSize } from "./sizes.ts";
import { dynoSizes } from "./sizes.ts";
import type {
  DrainHandler,
  DynoEvent,
  DynoInfo,
  DynoSelector,
  Formation,
  LogSink,
  OneOffOptions,
  OneOffSession,
  Rollout,
} from "./types.ts";

export interface ManifoldOptions {
  /** What runs the dynos. */
  readonly driver?: DynoDriver;
  /** Several, by the names that process types choose them with; the first is the default. */
  readonly drivers?: Readonly<Record<string, DynoDriver>>;
  /** Where output of dynos and the platform's lines go; default nowhere. */
  readonly logs?: LogSink;
  /** Default the machine's. */
  readonly clock?: Clock;
  /** In [0, 1); default `Math.random`. */
  readonly random?: () => number;
  /** A preset, or overrides of `heroku`. */
  readonly policy?: PresetName | PolicyOptions;
  /** Default silent. */
  readonly logger?: Logger;
  /** Sizes by lower-case name; default `dynoSizes`. */
  readonly sizes?: Readonly<Record<string, DynoSize>>;
  /** Of the variables that tell a dyno about itself; default `HEROKU_`. */
  readonly envPrefix?: string;
  /** Dynos that start at one time; default 32. */
  readonly startConcurrency?: number;
  /** ms between two measurements of a dyno; default 20 000. */
  readonly statsIntervalMs?: number;
}

export interface CloseOptions {
  /** Leave the dynos to the next manifold instead of stopping them; default false. */
  readonly leaveDynos?: boolean;
}

/**
 * Keeps running what formations ask for, through a driver.
 *
 * @example
 * const manifold = new Manifold({ driver: processDriver() });
 * const rollout = await manifold.apply({
 *   app: "shop",
 *   release: { id: "r1", version: 1 },
 *   cwd: "/srv/shop",
 *   env: {},
 *   processes: { web: { command: "node server.js", quantity: 2 } },
 * });
 * await rollout.done;
 */
export class Manifold {
  readonly #emitter = new EventEmitter<{ dyno: [event: DynoEvent] }>();
  readonly #apps = new Map<string, AppControl>();
  readonly #drainHandlers = new Set<DrainHandler>();
  readonly #context: PlanContext;
  readonly #host: Host;
  #recovery: Promise<Found> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ManifoldOptions) {
    const drivers = new Map<string, DynoDriver>(
      options.drivers
        ? Object.entries(options.drivers)
        : options.driver && [[driverName(options.driver), options.driver]],
    );
    if (drivers.size === 0) {
      throw new ManifoldError(
        "invalid-options",
        "the manifold has no driver; pass driver, for example processDriver()",
      );
    }
    const clock = options.clock ?? systemClock;
    const logger = options.logger ?? silentLogger;
    this.#context = {
      drivers,
      sizes: options.sizes ?? dynoSizes,
      policy: resolvePolicy(policyPresets.heroku, options.policy),
    };
    this.#host = {
      clock,
      logger,
      random: options.random ?? Math.random,
      newId: randomUUID,
      logs: options.logs,
      starts: new PQueue({ concurrency: options.startConcurrency ?? 32 }),
      envPrefix: options.envPrefix ?? "HEROKU_",
      statsIntervalMs: options.statsIntervalMs ?? 20_000,
      runners: new Map(),
      publish: (event) => this.#publish(event),
      publishMetrics: (runner, sample) =>
        this.#writeLines(
          runner.record.app,
          runner.record.dyno,
          runtimeMetricsLines(runner.record, sample),
        ),
      drain: (dyno, timeoutMs) => drainAll(this.#drainHandlers, dyno, timeoutMs, clock, logger),
      probe: (address, intervalMs, signal) => probeUntilBound(clock, address, intervalMs, signal),
    };
  }

  /**
   * Makes a formation the wanted one for its app. Resolves when it is accepted; `done` of the
   * result tells how the change ended. Types that take requests keep their old dynos until the
   * new ones are ready. The first call of a manifold takes back what its drivers still run.
   *
   * @throws ManifoldError `invalid-formation`, `invalid-policy`, `unknown-driver`; nothing is changed then.
   * @throws ManifoldError `recovery-failed` when a driver cannot tell what runs; try again.
   */
  async apply(formation: Formation): Promise<Rollout> {
    const found = await this.#ready();
    const known = this.#apps.get(formation.app);
    const app = known ?? new AppControl(formation.app, this.#host, this.#context);
    const handles = found.get(formation.app) ?? [];
    const rollout = app.apply(formation, handles);
    found.delete(formation.app);
    this.#apps.set(formation.app, app);
    return rollout;
  }

  /** Changes quantities of an applied formation. @throws ManifoldError `unknown-app`, `invalid-formation`. */
  async scale(app: string, quantities: Readonly<Record<string, number>>): Promise<Rollout> {
    await this.#ready();
    return this.#app(app).scale(quantities);
  }

  /**
   * Restarts one dyno, a type, or all of an app; crashed ones start at once and are forgiven.
   * Resolves when that has begun. @throws ManifoldError `unknown-app`, `unknown-dyno`.
   */
  async restart(app: string, selector: DynoSelector = {}): Promise<Rollout> {
    await this.#ready();
    return this.#app(app).restart(selector);
  }

  /**
   * Stops one dyno, a type, or all of an app; resolves after the exits. Formation dynos start
   * again, as on Heroku; scale to 0 to keep them down. @throws ManifoldError `unknown-app`, `unknown-dyno`.
   */
  async stop(app: string, selector: DynoSelector = {}): Promise<void> {
    await this.#ready();
    await this.#app(app).stop(selector);
  }

  /** Ends everything of an app and forgets it; resolves when no process is left. Unknown apps are fine. */
  async remove(app: string): Promise<void> {
    const found = await this.#ready();
    const known = this.#apps.get(app);
    this.#apps.delete(app);
    const handles = found.get(app) ?? [];
    found.delete(app);
    await Promise.all([known?.remove(), ...handles.map((handle) => this.#end(handle))]);
  }

  /** Starts a one-off dyno. @throws ManifoldError `invalid-one-off`, `not-supported`, `unknown-driver`. */
  async run(options: OneOffOptions): Promise<OneOffSession> {
    await this.#ready();
    let app = this.#apps.get(options.app);
    if (!app) {
      app = new AppControl(options.app, this.#host, this.#context);
      const session = app.run(options);
      this.#apps.set(options.app, app);
      return session;
    }
    return app.run(options);
  }

  /** The session of a one-off that runs, also of one that was there before this manifold. */
  session(app: string, dyno: string): OneOffSession | undefined {
    return this.#apps.get(app)?.oneOff(dyno);
  }

  /** The dynos of an app, or of all. Dynos on their way out are not shown. */
  ps(app?: string): DynoInfo[] {
    if (app !== undefined) return this.#apps.get(app)?.ps() ?? [];
    return [...this.#apps.values()].flatMap((one) => one.ps());
  }

  /** Subscribes to transitions. A listener that throws is reported to the logger and stays. */
  on(event: "dyno", listener: (event: DynoEvent) => void): this {
    this.#emitter.on(event, listener);
    return this;
  }

  off(event: "dyno", listener: (event: DynoEvent) => void): this {
    this.#emitter.off(event, listener);
    return this;
  }

  /**
   * Before a dyno that takes requests gets its stop signal, all handlers are awaited, at most
   * for the policy's `stop.drainMs`. The event `to: "stopping"` was sent before. Returns the removal.
   */
  onDrain(handler: DrainHandler): () => void {
    this.#drainHandlers.add(handler);
    return () => {
      this.#drainHandlers.delete(handler);
    };
  }

  /** Tells that an app had traffic; puts off the sleep of idle dynos. */
  touch(app: string): void {
    this.#apps.get(app)?.touch();
  }

  /** Starts the dynos of an app that sleep. */
  wake(app: string): void {
    this.#apps.get(app)?.wake();
  }

  /**
   * Ends the dynos found at the start whose apps were never applied. To be called when every
   * app that should exist has been: until then nothing is ended. Resolves with their number.
   */
  async sweep(): Promise<number> {
    const found = await this.#ready();
    const strays = [...found.values()].flat();
    found.clear();
    await Promise.all(strays.map((handle) => this.#end(handle)));
    return strays.length;
  }

  /** Ends all dynos, or leaves them to a successor, and closes the drivers. Idempotent. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.leaveDynos ?? false);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(leaveDynos: boolean): Promise<void> {
    const apps = [...this.#apps.values()];
    if (!leaveDynos) await Promise.all(apps.map((app) => app.remove("stop")));
    for (const app of apps) app.detach();
    this.#apps.clear();
    this.#host.starts.clear();
    await Promise.all([...this.#context.drivers.values()].map((driver) => driver.close()));
    this.#emitter.removeAllListeners();
    this.#drainHandlers.clear();
  }

  async #ready(): Promise<Found> {
    if (this.#closing !== undefined) {
      throw new ManifoldError("closed", "the manifold is closed; make a new one");
    }
    this.#recovery ??= recoverAll(this.#context.drivers, this.#host.logger).catch(
      (error: unknown) => {
        this.#recovery = undefined;
        throw new ManifoldError(
          "recovery-failed",
          `a driver could not tell what runs: ${messageOf(error)}; nothing was changed, try again`,
          { cause: error },
        );
      },
    );
    return this.#recovery;
  }

  #app(id: string): AppControl {
    const app = this.#apps.get(id);
    if (app) return app;
    throw new ManifoldError(
      "unknown-app",
      `no formation was applied for app ${JSON.stringify(id)}`,
    );
  }

  async #end(handle: DriverHandle): Promise<void> {
    const driver = this.#context.drivers.get(handle.driver);
    const { stop } = this.#context.policy;
    await driver?.stop(handle.id, stop);
    await driver?.destroy(handle.id, { force: true });
  }

  #publish(event: DynoEvent): void {
    this.#writeLines(event.app, event.dyno, logLines(event));
    for (const listener of this.#emitter.listeners("dyno")) {
      try {
        listener(event);
      } catch (error) {
        this.#host.logger.error({ error: messageOf(error) }, "a listener of dyno events threw");
      }
    }
  }

  #writeLines(channel: string, proc: string, lines: readonly string[]): void {
    const { logs, clock, logger } = this.#host;
    if (!logs || lines.length === 0) return;
    const encoder = new TextEncoder();
    const batch = {
      channel,
      source: "heroku",
      proc,
      lines: lines.map((line) => encoder.encode(line)),
      at: clock.now(),
    };
    const failed = (error: unknown) =>
      logger.error({ app: channel, dyno: proc, error: messageOf(error) }, "log sink failed");
    try {
      // Few and small: they do not wait for the sink, whose own limits count what it cannot take.
      void Promise.resolve(logs.write(batch)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
