import type { DynoStats } from "../driver/contract.ts";
import type { DynoRecord } from "../lifecycle/record.ts";
import type { DynoUsage } from "../types.ts";

/** What a dyno uses, from its measurements. */
export class UsageMeter {
  /** The last measurement, and the processor time at it. */
  #last: { readonly usage: DynoUsage; readonly cpuMs: number | undefined } | undefined;

  measure({ dyno, id, type }: DynoRecord, sample: DynoStats): void {
    const before = this.#last;
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
    this.#last = { usage, cpuMs: sample.cpuMs };
  }

  /** The last measurement of a dyno that still runs. */
  of({ id, process }: DynoRecord): DynoUsage | undefined {
    const usage = this.#last?.usage;
    return usage?.id === id && process === "alive" ? usage : undefined;
  }
}
