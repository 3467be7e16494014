import type { StoredMessage } from "../message.ts";
import type { Stage } from "./ast.ts";
import type { Predicate } from "./predicate.ts";
import { createStage } from "./stages/create.ts";
import { type KeySource, MessageView } from "./view.ts";

/** A message on its way through the stages. */
export interface Row {
  readonly message: StoredMessage;
  readonly keys: KeySource;
}

/** One running stage. */
export interface StageRun {
  /** The row to hand on, or undefined when the stage keeps or drops it. */
  push(row: Row, emit: (row: Row) => void): void;
  /** Hands on what the stage still holds. */
  flush?(emit: (row: Row) => void): void;
  /** True once nothing can come out any more. */
  readonly done?: boolean;
}

/** A run of a query over one reader's messages, in order. Not shared between readers. */
export interface QueryPipeline {
  /**
   * Messages that come out because of this one: none when it is filtered, itself, a changed copy,
   * or rows of `stats … every`, whose `seq` is that of the message that closed the interval.
   */
  push(message: StoredMessage): readonly StoredMessage[];
  /** What stages still hold at the end, such as the rows of `stats`. */
  flush(): readonly StoredMessage[];
  /** True once `head` has let its count through. */
  readonly done: boolean;
}

const NOTHING: readonly StoredMessage[] = Object.freeze([]);
const AUTO: KeySource = { kind: "auto" };

/** Chains the stages behind the condition. */
export function createPipeline(where: Predicate, stages: readonly Stage[]): QueryPipeline {
  const view = new MessageView();
  const runs = stages.map(createStage);
  const run = (from: number, row: Row, out: StoredMessage[]): void => {
    const stage = runs[from];
    if (!stage) out.push(row.message);
    else stage.push(row, (next) => run(from + 1, next, out));
  };
  return {
    get done() {
      return runs.some((stage) => stage.done === true);
    },
    push(message) {
      if (!where(view.reset(message))) return NOTHING;
      if (runs.length === 0) return [message];
      const out: StoredMessage[] = [];
      run(0, { message, keys: AUTO }, out);
      return out;
    },
    flush() {
      const out: StoredMessage[] = [];
      runs.forEach((stage, index) => {
        stage.flush?.((row) => run(index + 1, row, out));
      });
      return out;
    },
  };
}
