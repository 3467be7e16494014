import type { DynoInput, DynoRecord, ReduceContext, Step } from "./record.ts";
import { transitions } from "./transitions.ts";

/**
 * One step in the life of a dyno: pure, so that every rule of spec/dynos.md §2–9 is a row of a
 * test. An input that means nothing in the present state changes nothing.
 */
export function reduce(record: DynoRecord, input: DynoInput, context: ReduceContext): Step {
  const transition = transitions[record.state][input.type];
  if (!transition) return { record, effects: [] };
  // The table pairs every input type with a transition of that type.
  return (transition as (r: DynoRecord, i: DynoInput, c: ReduceContext) => Step)(
    record,
    input,
    context,
  );
}
