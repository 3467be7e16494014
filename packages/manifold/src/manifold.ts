import { randomUUID } from "node:crypto";
import PQueue from "p-queue";
import { sleep, systemClock } from "./clock.ts";
import { Announcer } from "./control/announcer.ts";
import { AppControl } from "./control/app.ts";
import { drainAll } from "./control/drain.ts";
import type { PlanContext } from "./control/formation-plan.ts";
import type { Host } from "./control/host.ts";
import { messageOf } from "./control/host.ts";
import { probeUntilBound } from "./control/probe.ts";
import type { Found } from "./control/recovery.ts";
import type { ReleaseOptions, ReleaseRun } from "./control/release-phase.ts";
import { dryRunOf, releaseRun, releaseTimeoutMs } from "./control/release-phase.ts";
import { runtimeMetricsLines } from "./control/runtime-metrics.ts";
import { findStrays } from "./control/strays.ts";
import { Takeover } from "./control/takeover.ts";
import type { DriverHandle, DriverSession } from "./driver/contract.ts";
import { ManifoldError } from "./errors.ts";
import { fenceDriver } from "./lease/fence.ts";
import { LeaseKeeper } from "./lease/keeper.ts";
import { lateLooks, leaseLookMs } from "./lease/lease.ts";
import { silentLogger } from "./logger.ts";
import type { CloseOptions, ExecOptions, ManifoldOptions } from "./manifold-options.ts";
import { driversOf } from "./manifold-options.ts";
import { policyPresets } from "./policy/presets.ts";
import { resolvePolicy } from "./policy/resolve.ts";
import { dynoSizes } from "./sizes.ts";
import type {
  DrainHandler,
  DynoEvent,
  DynoInfo,
  DynoSelector,
  DynoUsage,
  Formation,
  OneOffOptions,
  OneOffSession,
  Rollout,
} from "./types.ts";

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
  readonly #announcer: Announcer;
  readonly #apps = new Map<string, AppControl>();
  readonly #drainHandlers = new Set<DrainHandler>();
  readonly #context: PlanContext;
  readonly #host: Host;
  readonly #keeper: LeaseKeeper | undefined;
  readonly #leadHandlers = new Set<() => unknown>();
  readonly #ended = new AbortController();
  readonly #takeover: Takeover;
  #closing: Promise<void> | undefined;

  constructor(options: ManifoldOptions) {
    const drivers = driversOf(options);
    const clock = options.clock ?? systemClock;
    const logger = options.logger ?? silentLogger;
    if (options.lease)
      for (const [name, driver] of drivers)
        drivers.set(
          name,
          fenceDriver(driver, () => this.#keeper?.holds ?? true),
        );
    this.#announcer = new Announcer(options.logs, clock, logger);
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
      cleanups: new Set(),
      closed: this.#ended.signal,
      publish: (event) => {
        // What a manifold without the lease believes is not said any more.
        if (this.#keeper?.holds ?? true) this.#announcer.publish(event);
      },
      publishMetrics: ({ record }, sample) =>
        this.#announcer.writeLines(record.app, record.dyno, runtimeMetricsLines(record, sample)),
      drain: (dyno, timeoutMs) => drainAll(this.#drainHandlers, dyno, timeoutMs, clock, logger),
      probe: (address, intervalMs, signal) => probeUntilBound(clock, address, intervalMs, signal),
    };
    this.#takeover = new Takeover(drivers, this.#host, this.#announcer);
    this.#keeper =
      options.lease &&
      new LeaseKeeper(options.lease, randomUUID(), clock, logger, (holds) => this.#lead(holds));
    if (this.#keeper) void this.#lookForStrays();
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
   * Starts dynos anew because their host is to be left (spec/dynos.md §2): as `restart`, but logged
   * as `Relocating dyno to a new server`. @throws ManifoldError `unknown-app`, `unknown-dyno`.
   */
  async relocate(app: string, selector: DynoSelector = {}): Promise<Rollout> {
    await this.#ready();
    return this.#app(app).restart(selector, "relocate");
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

  /**
   * Runs the command of a release phase (spec/dynos.md §8) in a dyno `release.NNNN`: not before the
   * last one of the app ended, and not longer than its limit. The caller starts the new dynos only
   * when `done` says `succeeded`.
   *
   * @throws ManifoldError as `run` does.
   */
  async runRelease(oneOff: OneOffOptions, options: ReleaseOptions = {}): Promise<ReleaseRun> {
    await this.#ready();
    const { timeoutMs = releaseTimeoutMs } = options;
    const app = this.#apps.get(oneOff.app) ?? new AppControl(oneOff.app, this.#host, this.#context);
    const command = { ...oneOff, type: "release", timeToLiveMs: timeoutMs };
    const release = options.dryRun
      ? app.run(dryRunOf(command, this.#host.envPrefix))
      : app.release(command);
    this.#apps.set(oneOff.app, app);
    return releaseRun(await release, options.dryRun ?? false);
  }

  /**
   * Runs a command inside a dyno that is up (`run:inside`), with the dyno's environment.
   *
   * @throws ManifoldError `unknown-app`, `unknown-dyno`, `not-running`, `not-supported`.
   */
  async exec(
    app: string,
    dyno: string,
    argv: readonly string[],
    options: ExecOptions = {},
  ): Promise<DriverSession> {
    await this.#ready();
    const runner = this.#app(app).runner(dyno);
    if (!runner) {
      throw new ManifoldError(
        "unknown-dyno",
        `app ${app} has no dyno ${JSON.stringify(dyno)}; see ps`,
      );
    }
    const { driver } = runner.plan;
    const can = driver.capabilities();
    if (!can.exec || !driver.exec || (options.tty && !can.tty)) {
      throw new ManifoldError(
        "not-supported",
        `the driver ${driver.info().name} cannot run ${can.exec ? "a terminal" : "a command"} inside a dyno; start a one-off dyno instead`,
      );
    }
    if (runner.record.process !== "alive") {
      throw new ManifoldError(
        "not-running",
        `${dyno} is ${runner.record.state}; wait until it is up`,
      );
    }
    return driver.exec(runner.id, argv, options);
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

  /** The last measurements of an app's dynos that run; empty for drivers that measure nothing. */
  usage(app: string): DynoUsage[] {
    return this.#apps.get(app)?.usage() ?? [];
  }

  /** Subscribes to transitions. A listener that throws is reported to the logger and stays. */
  on(event: "dyno", listener: (event: DynoEvent) => void): this {
    this.#announcer.emitter.on(event, listener);
    return this;
  }

  off(event: "dyno", listener: (event: DynoEvent) => void): this {
    this.#announcer.emitter.off(event, listener);
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

  /**
   * Called when this manifold begins to act: at once when it does already, and after each time it
   * took the lease over. The place to `apply` every app from the platform's store and to `sweep`;
   * what an earlier holder was told is not known here. Returns the removal.
   */
  onLead(handler: () => unknown): () => void {
    this.#leadHandlers.add(handler);
    if (this.leads) this.#callLeadHandler(handler);
    return () => {
      this.#leadHandlers.delete(handler);
    };
  }

  /** Whether this manifold acts: it has the lease, or needs none. */
  get leads(): boolean {
    return this.#closing === undefined && (this.#keeper?.holds ?? true);
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
    // As long as the lease lasts: without it nothing is removed any more.
    if (!leaveDynos) await Promise.all(this.#host.cleanups);
    this.#ended.abort();
    await this.#keeper?.close();
    for (const app of apps) app.detach();
    this.#apps.clear();
    this.#host.starts.clear();
    await Promise.all(this.#host.cleanups);
    await Promise.all([...this.#context.drivers.values()].map((driver) => driver.close()));
    this.#announcer.emitter.removeAllListeners();
    this.#drainHandlers.clear();
  }

  async #ready(): Promise<Found> {
    if (this.#closing !== undefined) {
      throw new ManifoldError("closed", "the manifold is closed; make a new one");
    }
    await this.#keeper?.tried;
    if (this.#keeper?.holds === false) {
      throw new ManifoldError(
        "not-leader",
        "another manifold holds the lease; ask that one, or act in a handler of onLead",
      );
    }
    if (!this.#takeover.begun && !this.#keeper)
      this.#takeover
        .found()
        .then(() => this.#lookForStrays(lateLooks))
        .catch(() => {});
    return this.#takeover.found();
  }

  /** Without the lease nothing is touched any more, and nothing that was known counts. */
  #lead(holds: boolean): void {
    this.#takeover.forget();
    for (const app of this.#apps.values()) app.detach();
    this.#apps.clear();
    this.#host.logger.info({}, holds ? "lease taken: acting" : "lease lost: standing by");
    if (holds) for (const handler of this.#leadHandlers) this.#callLeadHandler(handler);
  }

  /**
   * What a predecessor started while it had lost the lease without knowing, or began to start and
   * was killed, is not wanted twice.
   */
  async #lookForStrays(times = Number.POSITIVE_INFINITY): Promise<void> {
    const { closed, clock } = this.#host;
    for (let look = 0; look < times && !closed.aborted; look++) {
      await sleep(clock, leaseLookMs, closed);
      if (closed.aborted || !this.leads || !this.#takeover.begun) continue;
      const isOurs = (app: string) => this.#apps.has(app);
      for (const handle of await findStrays(this.#context.drivers, this.#host, isOurs)) {
        this.#host.logger.warn({ ...handle.labels }, "ending a dyno that nobody asked for");
        void this.#end(handle).catch((error: unknown) => {
          this.#host.logger.warn({ error: messageOf(error) }, "stray dyno stays for now");
        });
      }
    }
  }

  #callLeadHandler(handler: () => unknown): void {
    void Promise.resolve()
      .then(handler)
      .catch((error: unknown) => {
        this.#host.logger.error({ error: messageOf(error) }, "a handler of onLead failed");
      });
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
}
