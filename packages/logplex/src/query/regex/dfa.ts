import { classOf, holds, KIND, OP, type Program } from "./program.ts";
import { decodeAt } from "./utf8.ts";

const UNKNOWN = -1;
const MATCH = -2;
const DEAD = -3;

/** Cells of the transition table before it is thrown away and rebuilt: about 1 MiB. */
const MAX_CELLS = 262_144;

interface State {
  readonly seeds: Int32Array;
  readonly before: number;
}

/**
 * Answers "does it match anywhere" with one table look-up per character. States are built when first
 * reached and the table is bounded, so memory and time stay linear whatever the expression.
 */
export class LazyDfa {
  readonly #program: Program;
  readonly #width: number;
  readonly #maxStates: number;
  readonly #mark: Uint32Array;
  readonly #stack: Int32Array;
  #generation = 0;
  #states: State[] = [];
  #index = new Map<string, number>();
  #table: Int32Array;

  constructor(program: Program) {
    this.#program = program;
    this.#width = program.classes + 1;
    this.#maxStates = Math.max(8, Math.floor(MAX_CELLS / this.#width));
    this.#mark = new Uint32Array(program.op.length);
    this.#stack = new Int32Array(program.op.length * 2 + 2);
    this.#table = new Int32Array(this.#width * 16).fill(UNKNOWN);
  }

  /** Whether any part of `bytes` matches. */
  test(bytes: Uint8Array): boolean {
    const program = this.#program;
    const width = this.#width;
    const { ascii } = program;
    const length = bytes.length;
    let state = this.#state(new Int32Array(0), KIND.edge);
    let at = 0;
    while (at < length) {
      const byte = bytes[at] as number;
      let cls: number;
      if (byte < 0x80) {
        cls = ascii[byte] as number;
        at++;
      } else {
        const packed = decodeAt(bytes, at);
        cls = classOf(program, packed >> 3);
        at += packed & 7;
      }
      let next = this.#table[state * width + cls] as number;
      if (next === UNKNOWN) next = this.#step(state, cls);
      if (next < 0) return next === MATCH;
      state = next;
    }
    let last = this.#table[state * width + width - 1] as number;
    if (last === UNKNOWN) last = this.#step(state, width - 1);
    return last === MATCH;
  }

  #state(seeds: Int32Array, before: number): number {
    const key = `${before}:${seeds.join()}`;
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    if (this.#states.length >= this.#maxStates) {
      this.#states = [];
      this.#index = new Map();
      this.#table.fill(UNKNOWN);
    }
    const index = this.#states.push({ seeds, before }) - 1;
    this.#index.set(key, index);
    if (this.#states.length * this.#width > this.#table.length) {
      const table = new Int32Array(this.#table.length * 2).fill(UNKNOWN);
      table.set(this.#table);
      this.#table = table;
    }
    return index;
  }

  #step(from: number, cls: number): number {
    const program = this.#program;
    const state = this.#states[from] as State;
    const atEnd = cls === this.#width - 1;
    const after = atEnd ? KIND.edge : (program.kindOf[cls] as number);
    const reached: number[] = [];
    this.#generation++;
    let matched = false;
    const close = (start: number) => {
      matched = this.#close(start, state.before, after, cls, atEnd, reached) || matched;
    };
    for (const seed of state.seeds) close(seed);
    // A new match may begin at every position, unless it must begin at the first.
    if (!program.anchored || state.before === KIND.edge) close(0);
    if (matched) return this.#record(from, cls, MATCH, state);
    if (atEnd) return this.#record(from, cls, DEAD, state);
    if (reached.length === 0 && program.anchored) return this.#record(from, cls, DEAD, state);
    reached.sort((a, b) => a - b);
    // Only whether this is the start of the text matters when nothing looks around.
    const before = program.hasAssertions || program.anchored ? after : KIND.edge;
    return this.#record(from, cls, this.#state(Int32Array.from(reached), before), state);
  }

  #record(from: number, cls: number, to: number, state: State): number {
    // The table may have been emptied while the target was made; then `from` is no longer valid.
    if (this.#states[from] === state) this.#table[from * this.#width + cls] = to;
    return to;
  }

  #close(
    start: number,
    before: number,
    after: number,
    cls: number,
    atEnd: boolean,
    reached: number[],
  ): boolean {
    const { op, x, y, members } = this.#program;
    const stack = this.#stack;
    let top = 0;
    stack[top++] = start;
    while (top > 0) {
      const pc = stack[--top] as number;
      if (this.#mark[pc] === this.#generation) continue;
      this.#mark[pc] = this.#generation;
      switch (op[pc]) {
        case OP.match:
          return true;
        case OP.set:
          if (!atEnd && (members[x[pc] as number] as Uint8Array)[cls] === 1) reached.push(pc + 1);
          break;
        case OP.split:
          stack[top++] = y[pc] as number;
          stack[top++] = x[pc] as number;
          break;
        case OP.jump:
          stack[top++] = x[pc] as number;
          break;
        case OP.save:
          stack[top++] = pc + 1;
          break;
        default:
          if (holds(x[pc] as number, before, after)) stack[top++] = pc + 1;
      }
    }
    return false;
  }
}
