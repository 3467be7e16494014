import { queryError } from "../errors.ts";
import { contains, type Ranges } from "./char-set.ts";
import type { Assertion, RegexNode } from "./parse.ts";

/** Instructions of the automaton. */
export const OP = Object.freeze({ set: 0, split: 1, jump: 2, save: 3, assert: 4, match: 5 });

/** Largest automaton; bounds the work per character of the input. */
export const MAX_INSTRUCTIONS = 4000;

/**
 * A compiled expression: parallel arrays of instructions, and the alphabet cut into classes of code
 * points that no instruction tells apart.
 */
export interface Program {
  readonly op: Uint8Array;
  /** set: index of its membership row; split and jump: target; save: slot; assert: kind. */
  readonly x: Int32Array;
  /** split: second target, tried after `x`. */
  readonly y: Int32Array;
  readonly slots: number;
  readonly classes: number;
  /** Class of each ASCII character. */
  readonly ascii: Uint16Array;
  /** First code point of each class run; with `runClass` gives the class of the others. */
  readonly runs: Int32Array;
  readonly runClass: Uint16Array;
  /** members[row][class] is 1 when the set of that row has the class. */
  readonly members: readonly Uint8Array[];
  /** 1 newline, 2 word character, 3 other, by class; what assertions look at. */
  readonly kindOf: Uint8Array;
  readonly hasAssertions: boolean;
  /** Every match starts at the start of the text. */
  readonly anchored: boolean;
}

export const ASSERTION_CODES: Readonly<Record<Assertion, number>> = {
  textStart: 0,
  textEnd: 1,
  lineStart: 2,
  lineEnd: 3,
  word: 4,
  notWord: 5,
};

/** What stands before or after a position. */
export const KIND = Object.freeze({ edge: 0, newline: 1, word: 2, other: 3 });

/** Whether the assertion holds between characters of these kinds. */
export function holds(assertion: number, before: number, after: number): boolean {
  switch (assertion) {
    case 0:
      return before === KIND.edge;
    case 1:
      return after === KIND.edge;
    case 2:
      return before === KIND.edge || before === KIND.newline;
    case 3:
      return after === KIND.edge || after === KIND.newline;
    case 4:
      return (before === KIND.word) !== (after === KIND.word);
    default:
      return (before === KIND.word) === (after === KIND.word);
  }
}

/** Class of a code point. */
export function classOf(program: Program, codePoint: number): number {
  if (codePoint < 128) return program.ascii[codePoint] as number;
  const { runs } = program;
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((runs[middle] as number) <= codePoint) low = middle;
    else high = middle - 1;
  }
  return program.runClass[low] as number;
}

/** Tree → program. Throws `bad-query` when the expression is too large. */
export function compileProgram(node: RegexNode, groups: number, column: number): Program {
  const builder = new Builder(column);
  builder.push(OP.save, 0);
  builder.emit(node);
  builder.push(OP.save, 1);
  builder.push(OP.match);
  return builder.finish(2 * (groups + 1), startsAnchored(node));
}

function startsAnchored(node: RegexNode): boolean {
  if (node.kind === "assert") return node.assertion === "textStart";
  if (node.kind === "group") return startsAnchored(node.node);
  if (node.kind === "choice") return node.nodes.every(startsAnchored);
  if (node.kind !== "sequence") return false;
  const first = node.nodes[0];
  return first !== undefined && startsAnchored(first);
}

class Builder {
  readonly #op: number[] = [];
  readonly #x: number[] = [];
  readonly #y: number[] = [];
  readonly #sets: Ranges[] = [];
  readonly #setIndex = new Map<string, number>();
  readonly #column: number;
  #assertions = false;
  #emitted = 0;

  constructor(column: number) {
    this.#column = column;
  }

  push(op: number, x = 0, y = 0): number {
    if (this.#op.length >= MAX_INSTRUCTIONS) this.#tooLarge();
    this.#x.push(x);
    this.#y.push(y);
    return this.#op.push(op) - 1;
  }

  #tooLarge(): never {
    throw queryError(
      "the regular expression is too large",
      this.#column,
      "use smaller repetition counts",
    );
  }

  emit(node: RegexNode): void {
    // Repetitions of nothing add no instruction but would still take time to expand.
    if (++this.#emitted > 8 * MAX_INSTRUCTIONS) this.#tooLarge();
    switch (node.kind) {
      case "empty":
        return;
      case "set":
        this.push(OP.set, this.#set(node.ranges));
        return;
      case "assert":
        this.#assertions = true;
        this.push(OP.assert, ASSERTION_CODES[node.assertion]);
        return;
      case "sequence":
        for (const part of node.nodes) this.emit(part);
        return;
      case "group":
        this.push(OP.save, node.index * 2);
        this.emit(node.node);
        this.push(OP.save, node.index * 2 + 1);
        return;
      case "choice":
        this.#choice(node.nodes);
        return;
      case "repeat":
        this.#repeat(node.node, node.min, node.max, node.lazy);
    }
  }

  #choice(nodes: readonly RegexNode[]): void {
    const ends: number[] = [];
    nodes.forEach((node, index) => {
      if (index === nodes.length - 1) {
        this.emit(node);
        return;
      }
      const split = this.push(OP.split);
      this.#x[split] = split + 1;
      this.emit(node);
      ends.push(this.push(OP.jump));
      this.#y[split] = this.#op.length;
    });
    for (const end of ends) this.#x[end] = this.#op.length;
  }

  #repeat(node: RegexNode, min: number, max: number, lazy: boolean): void {
    for (let i = 0; i < min; i++) this.emit(node);
    if (max === Infinity) {
      const split = this.push(OP.split);
      this.emit(node);
      this.push(OP.jump, split);
      this.#setSplit(split, split + 1, this.#op.length, lazy);
      return;
    }
    const splits: number[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.push(OP.split));
      this.emit(node);
    }
    for (const split of splits) this.#setSplit(split, split + 1, this.#op.length, lazy);
  }

  #setSplit(split: number, into: number, past: number, lazy: boolean): void {
    this.#x[split] = lazy ? past : into;
    this.#y[split] = lazy ? into : past;
  }

  #set(ranges: Ranges): number {
    const key = ranges.join();
    let index = this.#setIndex.get(key);
    if (index === undefined) {
      index = this.#sets.push(ranges) - 1;
      this.#setIndex.set(key, index);
    }
    return index;
  }

  finish(slots: number, anchored: boolean): Program {
    const starts = new Set<number>([0]);
    const cut = (ranges: Ranges) => {
      for (let i = 0; i < ranges.length; i += 2) {
        starts.add(ranges[i] as number);
        starts.add((ranges[i + 1] as number) + 1);
      }
    };
    for (const ranges of this.#sets) cut(ranges);
    if (this.#assertions) cut([10, 10, 48, 57, 65, 90, 95, 95, 97, 122]);
    const runs = [...starts].filter((start) => start <= 0x10ffff).sort((a, b) => a - b);
    // Runs with the same membership in every set are one class: far fewer columns in the DFA.
    const classByKey = new Map<string, number>();
    const columns: boolean[][] = [];
    const kinds: number[] = [];
    const runClass = new Uint16Array(runs.length);
    runs.forEach((start, run) => {
      const column = this.#sets.map((ranges) => contains(ranges, start));
      const kind = this.#assertions ? kindOfCodePoint(start) : KIND.other;
      const key = `${kind}${column.map(Number).join("")}`;
      let index = classByKey.get(key);
      if (index === undefined) {
        index = columns.push(column) - 1;
        kinds.push(kind);
        classByKey.set(key, index);
      }
      runClass[run] = index;
    });
    const program = {
      op: Uint8Array.from(this.#op),
      x: Int32Array.from(this.#x),
      y: Int32Array.from(this.#y),
      slots,
      classes: columns.length,
      ascii: new Uint16Array(128),
      runs: Int32Array.from(runs),
      runClass,
      members: this.#sets.map((_, set) =>
        Uint8Array.from(columns, (column) => (column[set] ? 1 : 0)),
      ),
      kindOf: Uint8Array.from(kinds),
      hasAssertions: this.#assertions,
      anchored,
    };
    let run = 0;
    for (let cp = 0; cp < 128; cp++) {
      while (run + 1 < runs.length && (runs[run + 1] as number) <= cp) run++;
      program.ascii[cp] = runClass[run] as number;
    }
    return program;
  }
}

function kindOfCodePoint(cp: number): number {
  if (cp === 10) return KIND.newline;
  const word =
    (cp >= 48 && cp <= 57) || (cp >= 65 && cp <= 90) || cp === 95 || (cp >= 97 && cp <= 122);
  return word ? KIND.word : KIND.other;
}
