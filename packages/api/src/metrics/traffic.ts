import diagnostics from "node:diagnostics_channel";
import type { Clock } from "../clock.ts";

/** Seconds of one step of a series. */
export const stepSeconds = 10;
const steps = 180;
const maxApps = 10_000;
/** Upper borders of the service times in ms, each 1.25 times the one before. */
const borders: readonly number[] = Array.from({ length: 56 }, (_unused, index) => 1.25 ** index);

interface Step {
  readonly at: number;
  requests: number;
  readonly status: Map<string, number>;
  readonly times: Uint32Array;
}

interface AppTraffic {
  readonly steps: Step[];
  readonly codes: Map<string, number>;
}

/** What a router publishes when a request is over. */
interface RequestEnd {
  readonly app?: unknown;
  readonly status?: unknown;
  readonly serviceMs?: unknown;
  readonly code?: unknown;
}

const channelName = "dynokit:router:request:end";

/**
 * Requests of the last 30 minutes by app, from the routers of this process. Percentiles come
 * from a histogram and are exact to 25 %.
 */
export class Traffic {
  readonly #apps = new Map<string, AppTraffic>();
  readonly #clock: Clock;
  readonly #listener = (message: unknown) => this.#record(message as RequestEnd);

  constructor(clock: Clock) {
    this.#clock = clock;
    diagnostics.subscribe(channelName, this.#listener);
  }

  #record({ app, status, serviceMs, code }: RequestEnd): void {
    if (typeof app !== "string" || app === "") return;
    let traffic = this.#apps.get(app);
    if (!traffic) {
      if (this.#apps.size >= maxApps) return;
      traffic = { steps: [], codes: new Map() };
      this.#apps.set(app, traffic);
    }
    const at = Math.floor(this.#clock.now() / 1000 / stepSeconds) * stepSeconds;
    let step = traffic.steps.at(-1);
    if (step?.at !== at) {
      step = { at, requests: 0, status: new Map(), times: new Uint32Array(borders.length + 1) };
      traffic.steps.push(step);
      if (traffic.steps.length > steps) traffic.steps.shift();
    }
    step.requests++;
    const name =
      typeof status === "number" && status >= 100 ? `${Math.floor(status / 100)}xx` : "none";
    step.status.set(name, (step.status.get(name) ?? 0) + 1);
    if (typeof code === "string") traffic.codes.set(code, (traffic.codes.get(code) ?? 0) + 1);
    if (typeof serviceMs === "number" && serviceMs >= 0) {
      const index = borders.findIndex((border) => serviceMs <= border);
      const slot = index < 0 ? borders.length : index;
      step.times[slot] = (step.times[slot] ?? 0) + 1;
    }
  }

  /** The series of an app; steps without requests are left out at the beginning only. */
  series(app: string): TrafficSeries {
    const traffic = this.#apps.get(app);
    const last = Math.floor(this.#clock.now() / 1000 / stepSeconds) * stepSeconds;
    const first = Math.max(traffic?.steps[0]?.at ?? last, last - (steps - 1) * stepSeconds);
    const kept = new Map(traffic?.steps.map((step) => [step.at, step]) ?? []);
    const time: number[] = [];
    for (let at = first; at <= last; at += stepSeconds) time.push(at);
    const list = time.map((at) => kept.get(at));
    const classes = new Set(list.flatMap((step) => [...(step?.status.keys() ?? [])]));
    const percentiles = (share: number) =>
      list.map((step) => (step ? percentile(step.times, share) : null));
    return {
      time,
      requests: list.map((step) => step?.requests ?? 0),
      p50_ms: percentiles(0.5),
      p95_ms: percentiles(0.95),
      p99_ms: percentiles(0.99),
      status: Object.fromEntries(
        [...classes].sort().map((name) => [name, list.map((step) => step?.status.get(name) ?? 0)]),
      ),
      codes: Object.fromEntries(traffic?.codes ?? []),
    };
  }

  forget(app: string): void {
    this.#apps.delete(app);
  }

  close(): void {
    diagnostics.unsubscribe(channelName, this.#listener);
    this.#apps.clear();
  }
}

/** Columns of equal length, one value a step. */
export interface TrafficSeries {
  /** Seconds since the epoch. */
  readonly time: number[];
  readonly requests: number[];
  readonly p50_ms: (number | null)[];
  readonly p95_ms: (number | null)[];
  readonly p99_ms: (number | null)[];
  readonly status: Record<string, number[]>;
  readonly codes: Record<string, number>;
}

function percentile(times: Uint32Array, share: number): number | null {
  const total = times.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (const [index, count] of times.entries()) {
    seen += count;
    if (seen >= total * share)
      return Math.round((borders[index] ?? (borders.at(-1) as number)) * 10) / 10;
  }
  return null;
}
