import { sleep } from "../clock.ts";
import type { DriverHandle, DynoStats } from "../driver/contract.ts";
import { bootTimeoutText } from "../lifecycle/boot-advice.ts";
import type { DynoInput, DynoRecord, Effect, TimerName } from "../lifecycle/record.ts";
import { reduce } from "../lifecycle/reducer.ts";
import type { DynoCause, DynoEvent, DynoInfo, DynoUsage } from "../types.ts";
import { bootAdvice, isChecksumError, stopForSure, waitForExit } from "./driver-calls.ts";
import { DynoOutputs } from "./dyno-outputs.ts";
import { dynoSpec } from "./dyno-spec.ts";
import type { Host } from "./host.ts";
import { driverErrorCode, isRetryable, messageOf } from "./host.ts";
import { watchMemory } from "./memory-watch.ts";
import type { Plan } from "./plan.ts";
import { type Settled, settledState, Waiters } from "./settled.ts";
import { Timers } from "./timers.ts";
import { UsageMeter } from "./usage-meter.ts";

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

/** One for all: a reason made anew for each attempt would cost more than the rest of its end. */
const attemptOver = new Error("The attempt to run the dyno is over");
/** ms that the last output has to arrive before the line about the exit. */
const lastOutputMs = 200;

/** Carries out for one dyno what the lifecycle decides: timers, driver calls, events. */
export class DynoRunner {
  record: DynoRecord;
  plan: Plan;
  readonly #host: Host;
  readonly #owner: RunnerOwner;
  readonly #timers: Timers;
  readonly #inputs: DynoInput[] = [];
  readonly #meter = new UsageMeter();
  #busy = false;
  #closed = false;
  readonly #outputs: DynoOutputs;
  /** Lives as long as one attempt; ends the waits that belong to it. */
  #attempt: AbortController | undefined;
  readonly #waiters = new Waiters();

  constructor(host: Host, owner: RunnerOwner, plan: Plan, record: DynoRecord) {
    this.#host = host;
    this.#owner = owner;
    this.#timers = new Timers(host.clock);
    this.#outputs = new DynoOutputs(host);
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
        this.#waiters.look(this.record);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** Takes a measurement of the dyno. */
  measure(sample: DynoStats): void {
    this.#meter.measure(this.record, sample);
  }

  /** What it was measured to use, while it runs. */
  get usage(): DynoUsage | undefined {
    return this.#meter.of(this.record);
  }

  /** Resolves when the dyno is up (or held ready, or done), or will not get there in this attempt. */
  settled(): Promise<Settled> {
    if (!this.#closed) return this.#waiters.settled(this.record);
    // Nothing happens to it any more.
    return Promise.resolve(
      settledState(this.record) ?? {
        ready: false,
        reason: `${this.record.dyno}: the manifold closed`,
      },
    );
  }

  /** Resolves when no process of the dyno is left and none will come. */
  ended(): Promise<void> {
    return this.isOver || this.#closed ? Promise.resolve() : this.#waiters.ended();
  }

  /** Lets go of the dyno without ending it. */
  detach(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timers.cancelAll();
    this.#attempt?.abort(attemptOver);
    this.#outputs.stop(attemptOver);
    this.#host.runners.delete(this.record.id);
    this.#waiters.finish(this.record, "The manifold closed");
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
        this.#timers.cancel(effect.name);
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
        this.#waiters.finish(this.record, "stopped");
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
      const spec = dynoSpec(this.record, plan, this.#host.envPrefix);
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

  /** Everything that runs beside a live process: its output, its memory, its exit. */
  #follow(id: string, signal: AbortSignal): void {
    const { driver } = this.plan;
    const can = driver.capabilities();
    const { logs } = this.#host;
    let output = Promise.resolve();
    if (logs && can.logs && driver.logs && !this.plan.attach) {
      const dyno = { app: this.record.app, name: this.record.dyno, id };
      output = this.#outputs.follow(logs, driver, dyno);
    }
    if (can.stats && driver.stats) void watchMemory(this.#host, this, id, signal);
    void this.#watch(id, signal, output);
  }

  async #watch(id: string, signal: AbortSignal, output: Promise<void>): Promise<void> {
    const { clock } = this.#host;
    const result = await waitForExit(this.plan.driver, id, clock, signal, this.#warn);
    if (result === "aborted" || this.#closed) return;
    const late = new AbortController();
    await Promise.race([output, sleep(clock, lastOutputMs, late.signal)]);
    late.abort();
    if (this.record.id !== id) return;
    this.dispatch(result === "lost" ? { type: "lost" } : { type: "exit", result });
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
    this.#timers.start(name, ms, () => {
      if (name === "boot") void this.#bootTimeout();
      else
        this.dispatch({
          type: "timer",
          name,
          ...(name === "retry" && { id: this.#host.newId() }),
        });
    });
  }

  /** R10 with what the driver saw: the addresses that the dyno does listen on. */
  async #bootTimeout(): Promise<void> {
    const { id, address } = this.record;
    const advice = await bootAdvice(this.plan.driver, id, address, this.#host.clock);
    if (this.record.id !== id) return;
    const detail = bootTimeoutText(this.record);
    this.dispatch({
      type: "timer",
      name: "boot",
      detail: advice ? `${detail}. ${advice}` : detail,
    });
  }

  async #drain(timeoutMs: number): Promise<void> {
    const { app, dyno, id } = this.record;
    await this.#host.drain({ app, dyno, id }, timeoutMs);
    this.dispatch({ type: "drained" });
  }

  #stop({ signal, timeoutMs, scope }: Extract<Effect, { type: "signal" }>): Promise<void> {
    const attempt = this.#attempt;
    return stopForSure(
      this.plan.driver,
      this.record.id,
      { signal, timeoutMs, scope },
      this.#host.clock,
      attempt?.signal,
      () => !this.#closed && this.#attempt === attempt,
      this.#warn,
    );
  }

  #discard(id: string): void {
    const { cleanups } = this.#host;
    const remove = async () => {
      try {
        if (this.#owner.mayDiscard) await this.#owner.mayDiscard();
        // With output that nobody took it is left to the successor.
        const delivered = await this.#outputs.delivered(id, attemptOver);
        if (!delivered && this.#host.closed.aborted) return;
        await this.plan.driver.destroy(id, { force: true });
      } catch (error) {
        this.#warn(error, "driver failed to remove what the dyno left");
      }
    };
    const cleanup = remove().finally(() => cleanups.delete(cleanup));
    cleanups.add(cleanup);
  }

  readonly #warn = (error: unknown, message: string): void => {
    const { app, dyno } = this.record;
    this.#host.logger.warn(
      { app, dyno, code: driverErrorCode(error), error: messageOf(error) },
      message,
    );
  };
}
