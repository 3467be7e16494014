import diagnostics from "node:diagnostics_channel";
import type { Clock } from "../clock.ts";
import { type Resolution, resolutions, type Span, spans, stepOf } from "./resolution.ts";

const maxApps = 10_000;
/** Upper borders of the service times in ms, each 1.25 times the one before. */
const borders: readonly number[] = Array.from({ length: 56 }, (_unused, index) => 1.25 ** index);

interface Step {
  readonly step: number;
  requests: number;
  readonly status: Map<string, number>;
  readonly codes: Map<string, number>;
  readonly times: Uint32Array;
}

type AppTraffic = Readonly<Record<Span, Step[]>>;

/** What a router publishes when a request is over. */
interface RequestEnd {
  readonly app?: unknown;
  readonly status?: unknown;
  readonly serviceMs?: unknown;
  readonly code?: unknown;
}

const channelName = "dynokit:router:request:end";

/**
 * Requests of the last 24 hours by app, from the routers of this process, kept in every
 * resolution. Percentiles come from a histogram and are exact to 25 %.
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
      traffic = { "30m": [], "24h": [] };
      this.#apps.set(app, traffic);
    }
    const name =
      typeof status === "number" && status >= 100 ? `${Math.floor(status / 100)}xx` : "none";
    const border =
      typeof serviceMs === "number" && serviceMs >= 0
        ? borders.findIndex((border) => serviceMs <= border)
        : undefined;
    for (const span of spans) {
      const step = current(traffic[span], resolutions[span], this.#clock.now());
      step.requests++;
      step.status.set(name, (step.status.get(name) ?? 0) + 1);
      if (typeof code === "string") step.codes.set(code, (step.codes.get(code) ?? 0) + 1);
      if (border !== undefined) {
        const slot = border < 0 ? borders.length : border;
        step.times[slot] = (step.times[slot] ?? 0) + 1;
      }
    }
  }

  /** The series of an app; steps without requests are left out at the beginning only. */
  series(app: string, span: Span): TrafficSeries {
    const { stepSeconds, steps } = resolutions[span];
    const last = stepOf(resolutions[span], this.#clock.now());
    const kept = new Map(
      this.#apps
        .get(app)
        ?.[span].filter(({ step }) => step > last - steps && step <= last)
        .map((step) => [step.step, step]),
    );
    const [first = last] = kept.keys();
    const numbers = Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
    const list = numbers.map((step) => kept.get(step));
    const classes = new Set(list.flatMap((step) => [...(step?.status.keys() ?? [])]));
    const codes = new Map<string, number>();
    for (const step of kept.values())
      for (const [code, count] of step.codes) codes.set(code, (codes.get(code) ?? 0) + count);
    const percentiles = (share: number) =>
      list.map((step) => (step ? percentile(step.times, share) : null));
    return {
      time: numbers.map((step) => step * stepSeconds),
      requests: list.map((step) => step?.requests ?? 0),
      p50_ms: percentiles(0.5),
      p95_ms: percentiles(0.95),
      p99_ms: percentiles(0.99),
      status: Object.fromEntries(
        [...classes].sort().map((name) => [name, list.map((step) => step?.status.get(name) ?? 0)]),
      ),
      codes: Object.fromEntries(codes),
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
  /** Of the whole span. */
  readonly codes: Record<string, number>;
}

/** The step of now, made when there is none; those that the span has left behind go. */
function current(list: Step[], resolution: Resolution, now: number): Step {
  const step = stepOf(resolution, now);
  const newest = list.at(-1);
  if (newest?.step === step) return newest;
  const made: Step = {
    step,
    requests: 0,
    status: new Map(),
    codes: new Map(),
    times: new Uint32Array(borders.length + 1),
  };
  list.push(made);
  const kept = list.findIndex((one) => one.step > step - resolution.steps);
  list.splice(0, Math.max(kept, list.length - resolution.steps));
  return made;
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
