import { sleep } from "../clock.ts";
import type {
  DriverHandle,
  DynoAddress,
  DynoSpec,
  DynoStats,
  ExitResult,
} from "../driver/contract.ts";
import { bootTimeoutText, listeningAdvice } from "../lifecycle/boot-advice.ts";
import type { DynoInput, DynoRecord, Effect, TimerName } from "../lifecycle/record.ts";
import { reduce } from "../lifecycle/reducer.ts";
import type { DynoCause, DynoEvent, DynoInfo, DynoUsage } from "../types.ts";
import { environment } from "./environment.ts";
import type { Host } from "./host.ts";
import { driverErrorCode, isRetryable, messageOf } from "./host.ts";
import { pumpLogs } from "./log-pump.ts";
import { watchMemory } from "./memory-watch.ts";
import type { Plan } from "./plan.ts";

/** Who is told about a dyno: the slot or the one-off it belongs to. */
export interface RunnerOwner {
  changed?(runner: DynoRunner, event: DynoEvent): void;
  replace(runner: DynoRunner, effect: Extract<Effect, { type: "replace" }>): void;
  ended(runner: DynoRunner): void;
  /** The process of an attached one-off exists; called before its exit is looked for. */
  attach?(runner: DynoRunner, id: string): Promise<void>;
  /** Resolves when what the ended dyno left may be removed. */
  mayDiscard?(): Promise<void>;
  /** The client of an attached one-off went. */
  hangup?(runner: DynoRunner): Promise<void>;
}

export type Settled = { readonly ready: true } | { readonly ready: false; readonly reason: string };

/** One for all: a reason made anew for each attempt would cost more than the rest of its end. */
const attemptOver = new Error("The attempt to run the dyno is over");
/** ms that the advice for R10 may take. */
const inspectMs = 1000;
/** ms that the last output has to arrive before the line about the exit. */
const lastOutputMs = 200;
/** ms that a slow log sink has to take the last output of a dyno before that is removed. */
const lateOutputMs = 30_000;

/** Carries out for one dyno what the lifecycle decides: timers, driver calls, events. */
export class DynoRunner {
  record: DynoRecord;
  plan: Plan;
  readonly #host: Host;
  readonly #owner: RunnerOwner;
  readonly #timers = new Map<TimerName, unknown>();
  readonly #inputs: DynoInput[] = [];
  /** The last measurement, and the processor time at it. */
  #measured: { readonly usage: DynoUsage; readonly cpuMs: number | undefined } | undefined;
  #busy = false;
  #closed = false;
  /** Output on its way to the sink, by the dyno's id; it may take longer than the dyno lives. */
  readonly #outputs = new Map<string, { done: Promise<void>; end: AbortController }>();
  /** Lives as long as one attempt; ends the waits that belong to it. */
  #attempt: AbortController | undefined;
  #settleWaiters: ((settled: Settled) => void)[] | undefined;
  #endWaiters: (() => void)[] | undefined;

  constructor(host: Host, owner: RunnerOwner, plan: Plan, record: DynoRecord) {
    this.#host = host;
    this.#owner = owner;
    this.plan = plan;
    this.record = record;
    host.runners.set(record.id, this);
  }

  get id(): string {
    return this.record.id;
  }

  get isOver(): boolean {
    return (
      this.record.state === "down" ||
      (this.record.state === "complete" && this.record.kind === "one-off")
    );
  }

  /** Says that the dyno exists and starts it unless it has to wait. */
  begin(): void {
    this.#emit(
      {
        from: null,
        to: this.record.state,
        cause: this.record.origin,
        ...(this.record.replaces !== undefined && { replaces: this.record.replaces }),
      },
      this.record.id,
    );
  }

  /** Goes on under a plan that does not ask for another process. */
  follow(plan: Plan): void {
    this.plan = plan;
    this.record = { ...this.record, policy: plan.policy, release: plan.release };
  }

  /** Takes over a dyno that the driver has already. */
  adopt(handle: DriverHandle): void {
    this.begin();
    this.#attempt = new AbortController();
    this.#follow(this.record.id, this.#attempt.signal);
    this.dispatch({
      type: "launched",
      at: handle.startedAt,
      ...(handle.address && { address: handle.address }),
    });
  }

  stop(cause: DynoCause, more: { replace?: boolean; replacedBy?: string } = {}): void {
    this.dispatch({ type: "stop", cause, ...more });
  }

  dispatch(input: DynoInput): void {
    if (this.#closed) return;
    this.#inputs.push(input);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        const before = this.record;
        const { record, effects } = reduce(before, next, {
          now: this.#host.clock.now(),
          random: this.#host.random,
        });
        this.record = record;
        if (record.id !== before.id) {
          this.#host.runners.delete(before.id);
          this.#host.runners.set(record.id, this);
        }
        for (const effect of effects) this.#run(effect);
        this.#settle();
      }
    } finally {
      this.#busy = false;
    }
  }

  /** Takes a measurement of the dyno. */
  measure(sample: DynoStats): void {
    const { dyno, id, type } = this.record;
    const before = this.#measured;
    const elapsedMs = sample.time - (before?.usage.at ?? sample.time);
    const known = before?.usage.id === id && before.cpuMs !== undefined && elapsedMs > 0;
    const usage: DynoUsage = {
      dyno,
      id,
      type,
      at: sample.time,
      ...(known &&
        sample.cpuMs !== undefined && {
          cpu: Math.max(0, sample.cpuMs - (before.cpuMs as number)) / elapsedMs,
        }),
      ...(sample.memoryBytes !== undefined && { memoryBytes: sample.memoryBytes }),
    };
    this.#measured = { usage, cpuMs: sample.cpuMs };
  }

  /** What it was measured to use, while it runs. */
  get usage(): DynoUsage | undefined {
    const usage = this.#measured?.usage;
    return usage?.id === this.record.id && this.record.process === "alive" ? usage : undefined;
  }

  /** Resolves when the dyno is up (or held ready, or done), or will not get there in this attempt. */
  settled(): Promise<Settled> {
    const now = settledState(this.record);
    if (now) return Promise.resolve(now);
    // Nothing happens to it any more.
    if (this.#closed)
      return Promise.resolve({ ready: false, reason: `${this.record.dyno}: the manifold closed` });
    return new Promise((resolve) => {
      this.#settleWaiters ??= [];
      this.#settleWaiters.push(resolve);
    });
  }

  /** Resolves when no process of the dyno is left and none will come. */
  ended(): Promise<void> {
    if (this.isOver || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#endWaiters ??= [];
      this.#endWaiters.push(resolve);
    });
  }

  /** Lets go of the dyno without ending it. */
  detach(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
    this.#attempt?.abort(attemptOver);
    for (const { end } of this.#outputs.values()) end.abort(attemptOver);
    this.#host.runners.delete(this.record.id);
    this.#finish("The manifold closed");
  }

  info(): DynoInfo {
    const { record } = this;
    return {
      app: record.app,
      dyno: record.dyno,
      id: record.id,
      type: record.type,
      command: record.command,
      size: record.size,
      state: record.state,
      release: record.release,
      createdAt: record.createdAt,
      updatedAt: record.updatedAt,
      crashes: record.crashes,
      ...(record.kind === "one-off" && { oneOff: true as const }),
      ...(record.address && { address: record.address }),
      ...(record.exit && { exit: record.exit }),
      ...(record.nextAttemptAt !== undefined && { nextAttemptAt: record.nextAttemptAt }),
    };
  }

  #run(effect: Effect): void {
    switch (effect.type) {
      case "event":
        this.#emit(effect.event, effect.id);
        break;
      case "launch":
        this.#launch();
        break;
      case "abort-launch":
        this.#attempt?.abort(attemptOver);
        break;
      case "probe":
        this.#probe();
        break;
      case "timer":
        this.#startTimer(effect.name, effect.ms);
        break;
      case "cancel":
        this.#cancel(effect.name);
        break;
      case "drain":
        void this.#drain(effect.timeoutMs);
        break;
      case "signal":
        void this.#stop(effect);
        break;
      case "hangup":
        void this.#owner.hangup?.(this);
        break;
      case "discard":
        this.#attempt?.abort(attemptOver);
        this.#attempt = undefined;
        this.#discard(effect.id);
        break;
      case "replace":
        this.#owner.replace(this, effect);
        break;
      case "ended":
        this.#host.runners.delete(this.record.id);
        this.#owner.ended(this);
        this.#finish("stopped");
        break;
    }
  }

  #emit(
    draft: Omit<DynoEvent, "app" | "dyno" | "id" | "type" | "at" | "release">,
    id: string,
  ): void {
    const { record } = this;
    const event: DynoEvent = {
      app: record.app,
      dyno: record.dyno,
      id,
      type: record.type,
      at: this.#host.clock.now(),
      release: record.release,
      ...(record.kind === "one-off" && { oneOff: true as const }),
      ...(record.address && { address: record.address }),
      ...draft,
    };
    this.#owner.changed?.(this, event);
    this.#host.publish(event);
  }

  #launch(): void {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const { plan } = this;
    const { id } = this.record;
    const { signal } = attempt;
    let begun = false;
    const giveUp = () => {
      if (!begun) this.#refused(signal.reason, signal);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    const start = async () => {
      // Given up while it waited for its turn: that was reported already.
      if (signal.aborted) return;
      begun = true;
      const spec = this.#spec();
      if (plan.driver.capabilities().prepare) {
        const { app, dyno } = this.record;
        const progress = (message: string) => this.#host.logger.info({ app, dyno }, message);
        await plan.driver.prepare?.(spec, { signal, progress });
      }
      const handle = await plan.driver.start(spec, { signal });
      if (plan.attach) await this.#owner.attach?.(this, id);
      if (this.#closed) return;
      // A start that was to be aborted and came through has an exit to wait for all the same.
      if (signal.aborted) this.#attempt = new AbortController();
      this.#follow(id, (this.#attempt ?? attempt).signal);
      this.dispatch({ type: "launched", ...(handle.address && { address: handle.address }) });
    };
    void this.#host.starts.add(start).catch((error: unknown) => this.#refused(error, signal));
  }

  #refused(error: unknown, signal: AbortSignal): void {
    if (this.#closed) return;
    if (!signal.aborted) this.#warn(error, "dyno did not start");
    const checksum = isChecksumError(error);
    this.dispatch({
      type: "refused",
      retryable: isRetryable(error),
      ...(checksum && { checksum }),
      detail: messageOf(error),
    });
  }

  #spec(): DynoSpec {
    const { record, plan } = this;
    return {
      id: record.id,
      command: record.command,
      env: environment(plan, { name: record.dyno, id: record.id }, this.#host.envPrefix),
      ...(plan.slug && { slug: plan.slug }),
      ...(plan.cwd !== undefined && { cwd: plan.cwd }),
      limits: plan.limits,
      ...(record.routed && { port: true }),
      ...(plan.tty && { tty: plan.tty }),
      ...(plan.attach && { stdin: true }),
      labels: {
        app: record.app,
        dyno: record.dyno,
        type: record.type,
        release: record.release.id,
        releaseVersion: String(record.release.version),
        kind: record.kind,
        size: record.size,
        fingerprint: plan.fingerprint,
        // A successor of this manifold has to know it, and has nothing else to know it from.
        ...(record.timeToLiveMs !== undefined && { timeToLiveMs: String(record.timeToLiveMs) }),
      },
      ...(plan.config && { config: plan.config }),
    };
  }

  /** Everything that runs beside a live process: its output, its memory, its exit. */
  #follow(id: string, signal: AbortSignal): void {
    const { driver } = this.plan;
    const can = driver.capabilities();
    const { logs } = this.#host;
    let output = Promise.resolve();
    if (logs && can.logs && driver.logs && !this.plan.attach) {
      const dyno = { app: this.record.app, name: this.record.dyno, id };
      const end = new AbortController();
      output = pumpLogs(this.#host, logs, driver, dyno, end.signal).finally(() =>
        this.#outputs.delete(id),
      );
      this.#outputs.set(id, { done: output, end });
    }
    if (can.stats && driver.stats) void watchMemory(this.#host, this, id, signal);
    void this.#watch(id, signal, output);
  }

  async #watch(id: string, signal: AbortSignal, output: Promise<void>): Promise<void> {
    const result = await this.#waitForExit(id, signal);
    if (result === "aborted" || this.#closed) return;
    const late = new AbortController();
    await Promise.race([output, sleep(this.#host.clock, lastOutputMs, late.signal)]);
    late.abort();
    if (this.record.id !== id) return;
    this.dispatch(result === "lost" ? { type: "lost" } : { type: "exit", result });
  }

  async #waitForExit(id: string, signal: AbortSignal): Promise<ExitResult | "lost" | "aborted"> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.plan.driver.wait(id, { signal });
      } catch (error) {
        if (signal.aborted) return "aborted";
        if (!isRetryable(error)) {
          this.#warn(error, "dyno was lost");
          return "lost";
        }
        await sleep(this.#host.clock, retryMs(tries), signal);
      }
    }
  }

  #probe(): void {
    const { address, id, policy } = this.record;
    const { driver } = this.plan;
    const signal = this.#attempt?.signal ?? AbortSignal.abort();
    const bound = driver.ready
      ? driver.ready(id, { signal })
      : address
        ? this.#host.probe(address, policy.probeIntervalMs, signal)
        : Promise.reject(new Error("the driver gave no address"));
    bound
      .then(() => {
        if (!signal.aborted && this.record.id === id) this.dispatch({ type: "ready" });
      })
      // The boot time-out ends what never becomes ready.
      .catch((error: unknown) => {
        if (!signal.aborted) this.#warn(error, "readiness unknown");
      });
  }

  #startTimer(name: TimerName, ms: number): void {
    this.#cancel(name);
    this.#timers.set(
      name,
      this.#host.clock.setTimeout(() => {
        this.#timers.delete(name);
        if (name === "boot") void this.#bootTimeout();
        else
          this.dispatch({
            type: "timer",
            name,
            ...(name === "retry" && { id: this.#host.newId() }),
          });
      }, ms),
    );
  }

  /** R10 with what the driver saw: the addresses that the dyno does listen on. */
  async #bootTimeout(): Promise<void> {
    const { id, address } = this.record;
    const advice = await this.#listeningAdvice(id, address);
    if (this.record.id !== id) return;
    const detail = bootTimeoutText(this.record);
    this.dispatch({
      type: "timer",
      name: "boot",
      detail: advice ? `${detail}. ${advice}` : detail,
    });
  }

  async #listeningAdvice(
    id: string,
    address: DynoAddress | undefined,
  ): Promise<string | undefined> {
    try {
      const late = new AbortController();
      const seen = await Promise.race([
        this.plan.driver.inspect(id),
        sleep(this.#host.clock, inspectMs, late.signal),
      ]);
      late.abort();
      if (!seen) return undefined;
      const { listening } = seen;
      const port = address && "port" in address ? address.port : undefined;
      return listeningAdvice(listening ?? [], port);
    } catch {
      // The advice is an extra; the time-out stands without it.
      return undefined;
    }
  }

  #cancel(name: TimerName): void {
    const handle = this.#timers.get(name);
    if (handle === undefined) return;
    this.#timers.delete(name);
    this.#host.clock.clearTimeout(handle);
  }

  async #drain(timeoutMs: number): Promise<void> {
    const { app, dyno, id } = this.record;
    await this.#host.drain({ app, dyno, id }, timeoutMs);
    this.dispatch({ type: "drained" });
  }

  /** Has to happen in the end: tried again while the process may live. */
  async #stop({ signal, timeoutMs, scope }: Extract<Effect, { type: "signal" }>): Promise<void> {
    const { id } = this.record;
    const attempt = this.#attempt;
    for (let tries = 0; !this.#closed && this.#attempt === attempt; tries++) {
      try {
        await this.plan.driver.stop(id, { signal, timeoutMs, scope });
        return;
      } catch (error) {
        this.#warn(error, "driver failed to stop the dyno");
        await sleep(this.#host.clock, retryMs(tries), attempt?.signal);
      }
    }
  }

  #discard(id: string): void {
    const { cleanups } = this.#host;
    const remove = async () => {
      try {
        if (this.#owner.mayDiscard) await this.#owner.mayDiscard();
        // With output that nobody took it is left to the successor.
        if (!(await this.#delivered(id)) && this.#host.closed.aborted) return;
        await this.plan.driver.destroy(id, { force: true });
      } catch (error) {
        this.#warn(error, "driver failed to remove what the dyno left");
      }
    };
    const cleanup = remove().finally(() => cleanups.delete(cleanup));
    cleanups.add(cleanup);
  }

  /** Whether the sink took all output of the dyno, which ended. */
  async #delivered(id: string): Promise<boolean> {
    const output = this.#outputs.get(id);
    if (!output) return true;
    const { clock, closed } = this.#host;
    const over = new AbortController();
    const late = sleep(clock, lateOutputMs, AbortSignal.any([over.signal, closed]));
    const delivered = await Promise.race([output.done.then(() => true), late.then(() => false)]);
    over.abort();
    output.end.abort(attemptOver);
    return delivered;
  }

  #warn(error: unknown, message: string): void {
    const { app, dyno } = this.record;
    this.#host.logger.warn(
      { app, dyno, code: driverErrorCode(error), error: messageOf(error) },
      message,
    );
  }

  #settle(): void {
    const waiters = this.#settleWaiters;
    if (!waiters) return;
    const settled = settledState(this.record);
    if (!settled) return;
    this.#settleWaiters = undefined;
    for (const waiter of waiters) waiter(settled);
  }

  #finish(reason: string): void {
    const settle = this.#settleWaiters ?? [];
    const end = this.#endWaiters ?? [];
    this.#settleWaiters = undefined;
    this.#endWaiters = undefined;
    for (const waiter of settle) waiter({ ready: false, reason: `${this.record.dyno}: ${reason}` });
    for (const waiter of end) waiter();
  }
}

function settledState(record: DynoRecord): Settled | undefined {
  switch (record.state) {
    case "up":
    case "idle":
    case "complete":
      return { ready: true };
    case "starting":
      return record.held && record.ready ? { ready: true } : undefined;
    case "crashed":
      return { ready: false, reason: `${record.dyno} crashed${exitText(record.exit)}` };
    case "stopping":
      return {
        ready: false,
        reason: record.ending?.code
          ? `${record.dyno}: ${record.ending.code}`
          : `${record.dyno} was stopped`,
      };
    case "down":
      return { ready: false, reason: `${record.dyno} was stopped` };
    case "provisioning":
      return undefined;
  }
}

function exitText(exit: ExitResult | undefined): string {
  if (!exit) return "";
  return exit.signal === null ? ` with status ${exit.exitCode}` : ` by ${exit.signal}`;
}

const retryMs = (tries: number) => Math.min(1000 * 2 ** tries, 30_000);

function isChecksumError(error: unknown): boolean {
  const { code, details } = (error ?? {}) as { code?: unknown; details?: { reason?: unknown } };
  return code === "checksum" || code === "checksum-mismatch" || details?.reason === "checksum";
}
