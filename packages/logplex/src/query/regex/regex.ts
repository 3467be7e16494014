import { LazyDfa } from "./dfa.ts";
import { parseRegex } from "./parse.ts";
import { PikeMachine } from "./pike.ts";
import { compileProgram, type Program } from "./program.ts";

/**
 * A regular expression whose time is linear in the input, for patterns that come from users
 * (spec/logplex.md §8.4). Syntax is that of RE2 without Unicode properties.
 */
export interface Regex {
  readonly source: string;
  readonly flags: string;
  /** Names of groups and their numbers. */
  readonly names: ReadonlyMap<string, number>;
  /** Whether the expression matches anywhere in these bytes of UTF-8. */
  test(bytes: Uint8Array): boolean;
  testText(text: string): boolean;
  /** Leftmost match from `from` on: slots `2g` and `2g + 1` are the bounds of group g, or -1. */
  find(bytes: Uint8Array, from?: number): Int32Array | undefined;
  /** Characters looked at by `find` so far. */
  readonly steps: number;
}

/** Compiles a pattern. Throws `bad-query` with the column of the fault. */
export function compileRegex(pattern: string, flags = "", column = 1): Regex {
  const parsed = parseRegex(pattern, flags, column);
  const program = compileProgram(parsed.node, parsed.groups, column);
  return new LinearRegex(pattern, flags, parsed.names, program);
}

class LinearRegex implements Regex {
  readonly source: string;
  readonly flags: string;
  readonly names: ReadonlyMap<string, number>;
  readonly #program: Program;
  readonly #dfa: LazyDfa;
  #pike: PikeMachine | undefined;

  constructor(source: string, flags: string, names: ReadonlyMap<string, number>, program: Program) {
    this.source = source;
    this.flags = flags;
    this.names = names;
    this.#program = program;
    this.#dfa = new LazyDfa(program);
  }

  get steps(): number {
    return this.#pike?.steps ?? 0;
  }

  test(bytes: Uint8Array): boolean {
    return this.#dfa.test(bytes);
  }

  testText(text: string): boolean {
    return this.#dfa.test(Buffer.from(text));
  }

  find(bytes: Uint8Array, from = 0): Int32Array | undefined {
    this.#pike ??= new PikeMachine(this.#program);
    return this.#pike.find(bytes, from);
  }
}
