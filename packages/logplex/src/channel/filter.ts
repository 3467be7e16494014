import type { StoredMessage } from "../message.ts";
import { compileQuery, type Query } from "../query/index.ts";

/** What a reader wants to see; all given conditions must hold (spec/logplex.md §8.3). */
export interface FilterOptions {
  /** LQ text. */
  readonly query?: string | undefined;
  /** Equals the source. */
  readonly source?: string | undefined;
  /** Equals the procid, or is its part before the dot: `web` matches `web.1`, not `web2.1`. */
  readonly dyno?: string | undefined;
  /** Process type; the same comparison as `dyno`. */
  readonly type?: string | undefined;
}

/** One reader's run over messages in order; it holds the state of stages. */
export interface FilterRun {
  /** What comes out because of this message: mostly itself or nothing. */
  push(message: StoredMessage): readonly StoredMessage[];
  /** What stages still hold at the end. */
  flush(): readonly StoredMessage[];
  /** True once nothing more can come out. */
  readonly done: boolean;
}

/** A compiled {@link FilterOptions}. */
export interface Filter {
  /** Whether a message fulfils the condition. */
  test(message: StoredMessage): boolean;
  /** Whether stages follow the condition, so that messages may be changed or held back. */
  readonly staged: boolean;
  /** A fresh run of condition and stages. */
  run(): FilterRun;
}

const NOTHING: readonly StoredMessage[] = Object.freeze([]);

function simpleRun(test: (message: StoredMessage) => boolean): FilterRun {
  return {
    push: (message) => (test(message) ? [message] : NOTHING),
    flush: () => NOTHING,
    done: false,
  };
}

/** Compiles the conditions; undefined when there is none. Throws `bad-query`. `now` is in ms. */
export function compileFilter(options: FilterOptions, now: number): Filter | undefined {
  const tests: ((message: StoredMessage) => boolean)[] = [];
  const { source, dyno, type, query } = options;
  if (source !== undefined && source !== "") tests.push((message) => message.source === source);
  for (const name of [dyno, type]) {
    if (name === undefined || name === "") continue;
    const prefix = `${name}.`;
    tests.push(({ procid }) => procid === name || procid.startsWith(prefix));
  }
  const compiled: Query | undefined =
    query === undefined || query.trim() === "" ? undefined : compileQuery(query, { now });
  if (compiled === undefined && tests.length === 0) return undefined;
  const header = (message: StoredMessage): boolean => tests.every((test) => test(message));
  const test = (message: StoredMessage): boolean =>
    header(message) && (compiled === undefined || compiled.test(message));
  const staged = compiled !== undefined && compiled.stages.length > 0;
  return {
    test,
    staged,
    run() {
      if (compiled === undefined || !staged) return simpleRun(test);
      const pipeline = compiled.pipeline();
      return {
        push: (message) => (header(message) ? pipeline.push(message) : NOTHING),
        flush: () => pipeline.flush(),
        get done() {
          return pipeline.done;
        },
      };
    },
  };
}
