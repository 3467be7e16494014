import { quoted } from "../errors.ts";
import type { FormationChange, FormationReport, ParseFormationOptions } from "./parse.ts";

/** How many dynos of a type, and of which size where one was given. */
export interface SizedQuantity {
  readonly quantity: number;
  readonly size?: string;
}

/** Applies changes to what runs now. `all` sets every known type that has no argument of its own. */
export function resolveFormation(
  changes: readonly FormationChange[],
  types: ReadonlySet<string> | null,
  { current, unlisted = "keep" }: ParseFormationOptions,
  report: FormationReport,
): Record<string, SizedQuantity> {
  const now = new Map<string, SizedQuantity>();
  for (const [type, value] of Object.entries(current ?? {}))
    now.set(type, typeof value === "number" ? { quantity: value } : value);
  const result = new Map(now);
  const all = changes.find(({ type }) => type === "all");
  for (const type of new Set([...(types ?? []), ...now.keys()])) {
    if (all?.kind === "set") result.set(type, merge(all.quantity, all.size ?? now.get(type)?.size));
    else if (unlisted !== "keep") result.set(type, merge(unlisted, now.get(type)?.size));
    else if (!result.has(type)) result.set(type, { quantity: 0 });
  }
  for (const change of changes) {
    if (change.type === "all") continue;
    const before = now.get(change.type);
    const had = before?.quantity ?? 0;
    const quantity = change.kind === "set" ? change.quantity : had + change.delta;
    if (quantity < 0 && current) {
      report(
        "below-zero",
        change.range,
        `${quoted(change.argument)}: only ${had} of ${change.type} ${had === 1 ? "runs" : "run"}, so ${-(quantity - had)} can't be taken away. Write ${quoted(`${change.type}=0`)} to stop all.`,
      );
      continue;
    }
    // Without knowing what runs now, a reduction can't be judged here: its receiver must.
    result.set(change.type, merge(Math.max(0, quantity), change.size ?? before?.size));
  }
  const formation: Record<string, SizedQuantity> = Object.create(null);
  for (const [type, value] of result) formation[type] = value;
  return formation;
}

function merge(quantity: number, size: string | undefined): SizedQuantity {
  return size === undefined ? { quantity } : { quantity, size };
}
