import { z } from "zod";
import { ManifoldError } from "../errors.ts";
import type { Policy, PolicyOptions, PresetName } from "./policy.ts";
import { policyPresets, restartPresets } from "./presets.ts";

// setTimeout fires at once for more than this, so a longer wait would be no wait at all.
const maxTimerMs = 2_147_483_647;
const ms = z.number().min(0).max(maxTimerMs);
const presetName = z.enum(["heroku", "diego", "local", "never"]);
const share = z.union([
  z.int().min(0),
  z.string().regex(/^\d{1,3}%$/, 'must be a whole number or a share such as "25%"'),
]);

const restart = z.strictObject({
  immediate: z.int().min(0).optional(),
  delaysMs: z.array(ms).optional(),
  jitter: z.number().min(0).max(1).optional(),
  resetAfterMs: ms.optional(),
  maxRestarts: z.int().min(0).nullable().optional(),
  exitCodesOk: z.array(z.int().min(0).max(255)).optional(),
});

/** Schema of `PolicyOptions`. */
export const policySchema = z.strictObject({
  restart: z.union([presetName, restart]).optional(),
  cycle: z
    .union([
      z.literal(false),
      z.strictObject({
        everyMs: ms.min(1).optional(),
        jitterMs: ms.optional(),
        strategy: z.enum(["stop-start", "start-first", "rolling"]).optional(),
      }),
    ])
    .optional(),
  bootTimeoutMs: ms.min(1).optional(),
  probeIntervalMs: ms.min(1).optional(),
  stop: z
    .strictObject({
      signal: z
        .string()
        .regex(/^SIG[A-Z0-9]+$/, "must be the name of a signal such as SIGTERM")
        .optional(),
      timeoutMs: ms.optional(),
      scope: z.enum(["all", "main"]).optional(),
      drainMs: ms.optional(),
    })
    .optional(),
  rollout: z
    .discriminatedUnion("strategy", [
      z.strictObject({ strategy: z.enum(["recreate", "preboot", "auto"]) }),
      z.strictObject({
        strategy: z.literal("rolling"),
        maxSurge: share.optional(),
        maxUnavailable: share.optional(),
      }),
    ])
    .optional(),
  idle: z.union([z.literal(false), z.strictObject({ afterMs: ms.min(1) })]).optional(),
  dependsOn: z.array(z.string()).optional(),
});

/**
 * Lays options over a policy.
 *
 * @throws ManifoldError `invalid-policy` when a field is unknown or out of range.
 */
export function resolvePolicy(
  base: Policy,
  options: PolicyOptions | PresetName | undefined,
  where = "policy",
): Policy {
  if (options === undefined) return base;
  if (typeof options === "string") {
    const preset = Object.hasOwn(policyPresets, options) ? policyPresets[options] : undefined;
    if (preset) return preset;
    throw new ManifoldError(
      "invalid-policy",
      `${where}: no preset is called ${JSON.stringify(options)}; use heroku, diego, local or never`,
    );
  }
  const parsed = policySchema.safeParse(options);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = [where, ...(issue?.path ?? [])].join(".");
    throw new ManifoldError("invalid-policy", `${path}: ${issue?.message ?? "is not a policy"}`, {
      details: { issues: parsed.error.issues },
    });
  }
  const over = parsed.data;
  const fallbackCycle = policyPresets.heroku.cycle || undefined;
  const policy: Policy = {
    restart:
      typeof over.restart === "string"
        ? restartPresets[over.restart]
        : { ...base.restart, ...defined(over.restart) },
    cycle:
      over.cycle === undefined
        ? base.cycle
        : over.cycle && { ...(base.cycle || fallbackCycle!), ...defined(over.cycle) },
    bootTimeoutMs: over.bootTimeoutMs ?? base.bootTimeoutMs,
    probeIntervalMs: over.probeIntervalMs ?? base.probeIntervalMs,
    stop: { ...base.stop, ...defined(over.stop) },
    rollout:
      over.rollout === undefined
        ? base.rollout
        : over.rollout.strategy === "rolling"
          ? {
              strategy: "rolling",
              maxSurge: over.rollout.maxSurge ?? 1,
              maxUnavailable: over.rollout.maxUnavailable ?? 0,
            }
          : { strategy: over.rollout.strategy as "recreate" },
    idle: over.idle ?? base.idle,
    dependsOn: over.dependsOn ?? base.dependsOn,
  };
  if (policy.cycle && policy.cycle.everyMs + policy.cycle.jitterMs > maxTimerMs) {
    throw new ManifoldError(
      "invalid-policy",
      `${where}.cycle: everyMs + jitterMs is ${policy.cycle.everyMs + policy.cycle.jitterMs}; at most ${maxTimerMs} (24.8 days) can be waited for`,
    );
  }
  return policy;
}

/** `undefined` in an option means absent, it must not cover the value below. */
function defined<T extends object>(value: T | undefined): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, item]) => item !== undefined),
  ) as never;
}
