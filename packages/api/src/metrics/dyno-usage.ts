import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { DynoUsagePort, ManifoldPort } from "../ports.ts";
import { resolutions, type Span, stepOf } from "./resolution.ts";
import { UsageRing, type UsageSeries } from "./usage-ring.ts";

const fine = resolutions["30m"];
const everyMs = fine.stepSeconds * 1000;
/** A measurement that is older says nothing about now. */
const freshMs = 120_000;
const megabyte = 1024 * 1024;

/** Parts of {@link DynoUsage}. */
export interface DynoUsageParts {
  readonly manifold: ManifoldPort;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Dynos of all apps that series are kept for, each about 6 kB; default 10 000. */
  readonly maxDynos?: number;
}

interface Kept {
  readonly app: string;
  readonly dyno: string;
  readonly rings: Readonly<Record<Span, UsageRing>>;
}

/**
 * What dynos used of memory and CPU in the last 24 hours. Asks the manifold once in each step
 * of 10 seconds, if that can tell. A dyno that ends stays until its span is over; above
 * `maxDynos` the one that ended first makes place, and while all of them run new ones get none.
 */
export class DynoUsage {
  readonly #parts: DynoUsageParts;
  readonly #maxDynos: number;
  /** By app and dyno; the one that was not measured for longest comes first. */
  readonly #kept = new Map<string, Kept>();
  #timer: unknown;
  #closed = false;

  constructor(parts: DynoUsageParts) {
    this.#parts = parts;
    this.#maxDynos = parts.maxDynos ?? 10_000;
  }

  /** How many dynos series are kept for. */
  get size(): number {
    return this.#kept.size;
  }

  /** Starts to ask; does nothing with a manifold that measures nothing. */
  start(): void {
    if (this.#parts.manifold.usage === undefined || this.#timer !== undefined || this.#closed)
      return;
    this.#schedule();
  }

  #schedule(): void {
    const { clock } = this.#parts;
    // The middle of a step, so that a late timer neither skips a step nor counts one twice.
    const delay = everyMs - ((clock.now() + everyMs / 2) % everyMs);
    this.#timer = clock.setTimeout(() => {
      this.#schedule();
      this.#measure();
    }, delay);
  }

  #measure(): void {
    const { manifold, clock, logger } = this.#parts;
    const now = clock.now();
    try {
      for (const app of new Set(manifold.ps().map((dyno) => dyno.app)))
        for (const usage of manifold.usage?.(app) ?? []) this.#take(app, usage, now);
    } catch (error) {
      logger.warn(
        { error: error instanceof Error ? error.message : String(error) },
        "what dynos use was not measured",
      );
    }
    const oldest = stepOf(resolutions["24h"], now) - resolutions["24h"].steps;
    for (const [key, { rings }] of this.#kept) {
      if (rings["24h"].last > oldest) break;
      this.#kept.delete(key);
    }
  }

  #take(app: string, usage: DynoUsagePort, now: number): void {
    const { dyno, at, memoryBytes, cpu } = usage;
    if (now - at > freshMs || (memoryBytes === undefined && cpu === undefined)) return;
    const key = `${app} ${dyno}`;
    const kept = this.#kept.get(key) ?? this.#place(app, dyno, now);
    if (!kept) return;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    const memoryMb = memoryBytes === undefined ? undefined : memoryBytes / megabyte;
    const percent = cpu === undefined ? undefined : cpu * 100;
    for (const ring of Object.values(kept.rings)) ring.add(now, memoryMb, percent);
  }

  #place(app: string, dyno: string, now: number): Kept | undefined {
    if (this.#kept.size >= this.#maxDynos) {
      const first = this.#kept.entries().next().value;
      // One that was measured in this step or the one before still runs.
      if (!first || first[1].rings["30m"].last >= stepOf(fine, now) - 1) return undefined;
      this.#kept.delete(first[0]);
    }
    const rings = { "30m": new UsageRing(fine), "24h": new UsageRing(resolutions["24h"]) };
    return { app, dyno, rings };
  }

  /** By name of dyno, those that were measured within the span. */
  series(app: string, span: Span): Record<string, UsageSeries> {
    const now = this.#parts.clock.now();
    const found: [string, UsageSeries][] = [];
    for (const { app: owner, dyno, rings } of this.#kept.values()) {
      const series = owner === app ? rings[span].series(now) : undefined;
      if (series) found.push([dyno, series]);
    }
    return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  forget(app: string): void {
    for (const [key, { app: owner }] of this.#kept) if (owner === app) this.#kept.delete(key);
  }

  close(): void {
    this.#closed = true;
    this.#parts.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#kept.clear();
  }
}
