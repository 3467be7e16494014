import type { DriverSession, ExitResult } from "../driver/contract.ts";
import { ManifoldError } from "../errors.ts";
import type { DynoRecord } from "../lifecycle/record.ts";
import type { DynoCause, DynoInfo, OneOffSession } from "../types.ts";
import { attachFirst, Reading, SharedOutput } from "./attached.ts";
import type { Host } from "./host.ts";
import { messageOf } from "./host.ts";
import type { Plan } from "./plan.ts";
import { DynoRunner, type RunnerOwner } from "./runner.ts";

/** `run.1234`: four digits, drawn until one is free. */
export function oneOffName(
  type: string,
  random: () => number,
  isUsed: (name: string) => boolean,
): string {
  const draw = Math.floor(random() * 9000);
  for (let offset = 0; offset < 9000; offset++) {
    const name = `${type}.${1000 + ((draw + offset) % 9000)}`;
    if (!isUsed(name)) return name;
  }
  throw new ManifoldError("not-running", `9000 ${type} dynos run already; stop some first`);
}

/** A one-off dyno and those who wait for it. */
export class OneOff implements RunnerOwner, OneOffSession {
  readonly runner: DynoRunner;
  readonly dyno: DynoInfo;
  readonly #host: Host;
  readonly #onEnd: () => void;
  readonly #reading = new Reading();
  #first: DriverSession | undefined;
  /** Of the last client; open until it is hung up. */
  #session: DriverSession | undefined;
  #output: SharedOutput | undefined;
  #connected = false;
  #clients = 0;

  constructor(host: Host, plan: Plan, record: DynoRecord, onEnd: () => void) {
    this.#host = host;
    this.#onEnd = onEnd;
    this.runner = new DynoRunner(host, this, plan, record);
    this.dyno = this.runner.info();
  }

  async wait(options: { readonly signal?: AbortSignal } = {}): Promise<ExitResult> {
    const { signal } = options;
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      void this.runner.ended().then(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
    });
    return this.runner.record.exit ?? this.#withoutProcess();
  }

  /** What ended it, where it did not end by itself. */
  endedBy(): DynoCause | undefined {
    return this.runner.record.endedBy;
  }

  async stop(): Promise<void> {
    this.runner.stop("stop");
    await this.runner.ended();
  }

  async open(): Promise<DriverSession> {
    const { driver, attach } = this.runner.plan;
    if (!attach || !driver.attach) {
      throw new ManifoldError(
        "not-supported",
        `${this.dyno.dyno} was started detached; run it with attach: true`,
      );
    }
    this.runner.dispatch({ type: "client", connected: true });
    await this.runner.settled();
    const kept = this.#connected ? undefined : this.#session;
    const session = kept ?? this.#first ?? (await this.#attachAgain());
    this.#first = undefined;
    if (session !== kept) this.#output = new SharedOutput(session);
    this.#session = session;
    this.#connected = true;
    const output = this.#output as SharedOutput;
    const client = ++this.#clients;
    return this.#reading.follow(
      session,
      output.read(),
      () => this.#disconnect(client, output),
      (this.runner.record.reconnectMs ?? 0) > 0,
    );
  }

  async attach({ plan }: DynoRunner, id: string): Promise<void> {
    try {
      this.#first = await attachFirst(plan.driver, id, plan.tty !== undefined);
    } catch (error) {
      this.#host.logger.warn({ dyno: this.dyno.dyno, error: messageOf(error) }, "no streams");
    }
  }

  async mayDiscard(): Promise<void> {
    if (this.runner.plan.attach) await this.#reading.finished(this.#host.clock, this.#host.closed);
  }

  async #attachAgain(): Promise<DriverSession> {
    const { state, id } = this.runner.record;
    const { driver } = this.runner.plan;
    if (state === "up" && driver.attach) return driver.attach(id);
    throw new ManifoldError("not-running", `${this.dyno.dyno} is ${state}; run a new one-off`);
  }

  replace(): void {}

  ended(): void {
    this.#onEnd();
  }

  /** The driver sends the SIGHUP of a closed session; the later ones are the manifold's. */
  async hangup(runner: DynoRunner): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    try {
      if (session) await session.close();
      else await runner.plan.driver.signal?.(runner.id, "SIGHUP");
    } catch (error) {
      this.#host.logger.warn({ dyno: this.dyno.dyno, error: String(error) }, "SIGHUP failed");
    }
  }

  async #disconnect(client: number, output: SharedOutput): Promise<void> {
    // Another took its place, or it was hung up.
    if (this.#clients !== client || !this.#session) return;
    this.#connected = false;
    output.leave();
    this.runner.dispatch({ type: "client", connected: false });
    await Promise.resolve();
  }

  #withoutProcess(): ExitResult {
    const at = this.runner.record.updatedAt;
    return {
      exitCode: null,
      signal: "SIGKILL",
      oomKilled: false,
      startedAt: this.runner.record.createdAt,
      endedAt: at,
      error: "The dyno ended without a process",
    };
  }
}
