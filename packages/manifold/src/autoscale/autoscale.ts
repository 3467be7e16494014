import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { messageOf } from "../control/host.ts";
import { ManifoldError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { silentLogger } from "../logger.ts";
import type { DynoInfo, DynoUsage, Rollout } from "../types.ts";

/** When to change the number of dynos of a type: data, and a function of what was measured. */
export interface AutoscalePolicy {
  readonly min: number;
  readonly max: number;
  /**
   * The value to aim at, for all dynos together or per dyno: a p95 in ms, requests that wait, CPU
   * in per cent of a core. Above it dynos are added, well below it taken away.
   */
  readonly target: number;
  /** Share of `target` below which one dyno is taken away; default 0.5. */
  readonly lowShare?: number;
  /** Dynos added at one time at most; default 1, as on Heroku. */
  readonly maxStep?: number;
  /** ms between a change and the next one upwards; default 60 000. */
  readonly upCooldownMs?: number;
  /** ms between a change and the next one downwards; default 300 000. */
  readonly downCooldownMs?: number;
}

/** The quantity that the policy asks for; `value` undefined (nothing measured) changes nothing. */
export function decideQuantity(
  policy: AutoscalePolicy,
  quantity: number,
  value: number | undefined,
  sinceChangeMs: number,
): number {
  const { min, max, target, lowShare = 0.5, maxStep = 1 } = policy;
  const { upCooldownMs = 60_000, downCooldownMs = 300_000 } = policy;
  const clamp = (wanted: number) => Math.max(min, Math.min(max, wanted));
  const inside = clamp(quantity);
  if (inside !== quantity || value === undefined || !Number.isFinite(value)) return inside;
  if (value > target && sinceChangeMs >= upCooldownMs) {
    const needed = Math.ceil(quantity * (value / target));
    return clamp(Math.min(Math.max(needed, quantity + 1), quantity + maxStep));
  }
  if (value < target * lowShare && sinceChangeMs >= downCooldownMs) return clamp(quantity - 1);
  return quantity;
}

/**
 * The mean of what dynos of a type use of the processor, in per cent of a core, for
 * `AutoscaleOptions.read`; undefined when none was measured twice.
 *
 * @example
 * autoscale(manifold, {
 *   app: "shop", type: "worker", min: 1, max: 8, target: 70,
 *   read: () => cpuPercent(manifold.usage("shop"), "worker"),
 * });
 */
export function cpuPercent(usage: readonly DynoUsage[], type = "web"): number | undefined {
  const measured = usage.flatMap((one) => (one.type === type ? (one.cpu ?? []) : []));
  if (measured.length === 0) return undefined;
  return (100 * measured.reduce((sum, cpu) => sum + cpu, 0)) / measured.length;
}

export interface AutoscaleOptions extends AutoscalePolicy {
  readonly app: string;
  /** Default `web`. */
  readonly type?: string;
  /** The present value, for example the router's p95 of the app; `undefined` when unknown. */
  readonly read: () => number | undefined | Promise<number | undefined>;
  /** ms between two looks; default 10 000. */
  readonly intervalMs?: number;
  /**
   * Makes the change. Default: the manifold's `scale`. A platform passes what writes its desired
   * state, so that the next `apply` does not undo it.
   */
  readonly scale?: (app: string, quantities: Record<string, number>) => Promise<unknown>;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** The part of a manifold that autoscaling uses. */
export interface Scalable {
  ps(app: string): readonly DynoInfo[];
  scale(app: string, quantities: Readonly<Record<string, number>>): Promise<Rollout>;
}

/**
 * Keeps the quantity of a process type where a measurement wants it. Off unless called; knows no
 * driver. An app scaled to 0 stays there.
 */
export function autoscale(manifold: Scalable, options: AutoscaleOptions): { close(): void } {
  const { app, type = "web", clock = systemClock, logger = silentLogger } = options;
  if (options.min < 1 || options.max < options.min || options.target <= 0) {
    throw new ManifoldError(
      "invalid-options",
      `autoscale of ${app}: min ${options.min}, max ${options.max}, target ${options.target}; min must be at least 1, max at least min, target above 0`,
    );
  }
  const intervalMs = options.intervalMs ?? 10_000;
  const scale = options.scale ?? ((name, quantities) => manifold.scale(name, quantities));
  let changedAt = Number.NEGATIVE_INFINITY;
  let closed = false;
  let timer: unknown;
  const look = async () => {
    try {
      const names = manifold.ps(app).filter((dyno) => dyno.type === type && !dyno.oneOff);
      const quantity = new Set(names.map(({ dyno }) => dyno)).size;
      const value = quantity === 0 ? undefined : await options.read();
      const wanted = decideQuantity(options, quantity, value, clock.now() - changedAt);
      if (!closed && quantity > 0 && wanted !== quantity) {
        changedAt = clock.now();
        await scale(app, { [type]: wanted });
      }
    } catch (error) {
      logger.warn({ app, type, error: messageOf(error) }, "autoscale could not act");
    }
    if (!closed) timer = clock.setTimeout(() => void look(), intervalMs);
  };
  timer = clock.setTimeout(() => void look(), intervalMs);
  return {
    close() {
      closed = true;
      clock.clearTimeout(timer);
    },
  };
}
