import { type Resolution, stepOf } from "./resolution.ts";

/** Columns of equal length, one value a step; a column is absent when nothing of it was measured. */
export interface UsageSeries {
  /** Seconds since the epoch, from the first step with a measurement to the last. */
  readonly time: number[];
  /** The most within each step. */
  readonly memory_mb?: (number | null)[];
  /** Percent of one core on average in each step: 150 is one and a half cores. */
  readonly cpu?: (number | null)[];
}

const unmeasured = Number.NaN;

/** What one dyno used, in a fixed number of steps of which a new one takes the oldest's place. */
export class UsageRing {
  readonly #resolution: Resolution;
  readonly #at: Uint32Array;
  readonly #memory: Float32Array;
  readonly #cpu: Float32Array;
  /** CPU measurements in the step that was written last. */
  #count = 0;
  #last = 0;

  constructor(resolution: Resolution) {
    this.#resolution = resolution;
    this.#at = new Uint32Array(resolution.steps);
    this.#memory = new Float32Array(resolution.steps);
    this.#cpu = new Float32Array(resolution.steps);
  }

  /** The step that was written last. */
  get last(): number {
    return this.#last;
  }

  add(ms: number, memoryMb: number | undefined, cpuPercent: number | undefined): void {
    const step = stepOf(this.#resolution, ms);
    const slot = step % this.#at.length;
    if (this.#at[slot] !== step) {
      this.#at[slot] = step;
      this.#memory[slot] = unmeasured;
      this.#cpu[slot] = unmeasured;
    }
    if (this.#last !== step) this.#count = 0;
    this.#last = step;
    const [memory = unmeasured, cpu = unmeasured] = [this.#memory[slot], this.#cpu[slot]];
    if (memoryMb !== undefined)
      this.#memory[slot] = Number.isNaN(memory) ? memoryMb : Math.max(memory, memoryMb);
    if (cpuPercent !== undefined) {
      this.#count++;
      this.#cpu[slot] = Number.isNaN(cpu) ? cpuPercent : cpu + (cpuPercent - cpu) / this.#count;
    }
  }

  /** What is kept of the span that ends now; undefined when nothing is. */
  series(ms: number): UsageSeries | undefined {
    const { stepSeconds, steps } = this.#resolution;
    const now = stepOf(this.#resolution, ms);
    const slots: { readonly step: number; readonly slot: number | undefined }[] = [];
    for (let step = now - steps + 1; step <= now; step++) {
      const slot = step % steps;
      const known = this.#at[slot] === step;
      if (known || slots.length > 0) slots.push({ step, slot: known ? slot : undefined });
    }
    while (slots.length > 0 && slots.at(-1)?.slot === undefined) slots.pop();
    if (slots.length === 0) return undefined;
    const column = (values: Float32Array) =>
      slots.map(({ slot }) => {
        const value = slot === undefined ? unmeasured : (values[slot] ?? unmeasured);
        return Number.isNaN(value) ? null : Math.round(value * 10) / 10;
      });
    const [memory, cpu] = [column(this.#memory), column(this.#cpu)];
    const any = (values: readonly (number | null)[]) => values.some((value) => value !== null);
    return {
      time: slots.map(({ step }) => step * stepSeconds),
      ...(any(memory) && { memory_mb: memory }),
      ...(any(cpu) && { cpu }),
    };
  }
}
