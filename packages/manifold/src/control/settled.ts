import type { ExitResult } from "../driver/contract.ts";
import type { DynoRecord } from "../lifecycle/record.ts";

/** How an attempt to bring a dyno up ended. */
export type Settled = { readonly ready: true } | { readonly ready: false; readonly reason: string };

/** Those who wait until a dyno is up, or until it is over. */
export class Waiters {
  #settled: ((settled: Settled) => void)[] | undefined;
  #ended: (() => void)[] | undefined;

  /** Resolves when the dyno is up (or held ready, or done), or will not get there in this attempt. */
  settled(record: DynoRecord): Promise<Settled> {
    const now = settledState(record);
    if (now) return Promise.resolve(now);
    return new Promise((resolve) => {
      this.#settled ??= [];
      this.#settled.push(resolve);
    });
  }

  ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#ended ??= [];
      this.#ended.push(resolve);
    });
  }

  /** The dyno has changed. */
  look(record: DynoRecord): void {
    const waiters = this.#settled;
    if (!waiters) return;
    const settled = settledState(record);
    if (!settled) return;
    this.#settled = undefined;
    for (const waiter of waiters) waiter(settled);
  }

  /** Nothing happens to the dyno any more. */
  finish(record: DynoRecord, reason: string): void {
    const settled = this.#settled ?? [];
    const ended = this.#ended ?? [];
    this.#settled = undefined;
    this.#ended = undefined;
    for (const waiter of settled) waiter({ ready: false, reason: `${record.dyno}: ${reason}` });
    for (const waiter of ended) waiter();
  }
}

/** How it ended, if it has. */
export function settledState(record: DynoRecord): Settled | undefined {
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
