import type { DynoSpec } from "../driver/contract.ts";
import type { DynoRecord } from "../lifecycle/record.ts";
import { environment } from "./environment.ts";
import type { Plan } from "./plan.ts";

/** What a driver is asked to start. */
export function dynoSpec(record: DynoRecord, plan: Plan, envPrefix: string): DynoSpec {
  return {
    id: record.id,
    command: record.command,
    env: environment(plan, { name: record.dyno, id: record.id }, envPrefix),
    ...(plan.slug && { slug: plan.slug }),
    ...(plan.cwd !== undefined && { cwd: plan.cwd }),
    limits: plan.limits,
    ...(record.routed && { port: true }),
    ...(plan.tty && { tty: plan.tty }),
    ...(plan.attach && { stdin: true }),
    labels: {
      app: record.app,
      dyno: record.dyno,
      type: record.type,
      release: record.release.id,
      releaseVersion: String(record.release.version),
      kind: record.kind,
      size: record.size,
      fingerprint: plan.fingerprint,
      // A successor of this manifold has to know it, and has nothing else to know it from.
      ...(record.timeToLiveMs !== undefined && { timeToLiveMs: String(record.timeToLiveMs) }),
    },
    ...(plan.config && { config: plan.config }),
  };
}
