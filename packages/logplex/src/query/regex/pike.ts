import { classOf, holds, KIND, OP, type Program } from "./program.ts";
import { decodeAt } from "./utf8.ts";

interface Threads {
  readonly dense: Int32Array;
  readonly captures: Int32Array[];
  readonly sparse: Int32Array;
  size: number;
}

/**
 * Finds where a match stands and what its groups hold: the leftmost match, alternatives tried in
 * the order written. Work is at most instructions × characters.
 */
export class PikeMachine {
  readonly #program: Program;
  #current: Threads;
  #next: Threads;
  /** Characters looked at since the machine was made; callers bound repeated searches with it. */
  steps = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#current = threads(program);
    this.#next = threads(program);
  }

  /** Start and end of group g are slots 2g and 2g+1, -1 when it took no part. */
  find(bytes: Uint8Array, from = 0): Int32Array | undefined {
    const program = this.#program;
    let found: Int32Array | undefined;
    let before = this.#kindBefore(bytes, from);
    let at = from;
    this.#current.size = 0;
    for (;;) {
      const atEnd = at >= bytes.length;
      const packed = atEnd ? 0 : decodeAt(bytes, at);
      const cls = atEnd ? -1 : classOf(program, packed >> 3);
      const after = atEnd ? KIND.edge : (program.kindOf[cls] as number);
      this.steps++;
      if (!found && (!program.anchored || at === 0)) {
        this.#add(this.#current, 0, at, before, after, new Int32Array(program.slots).fill(-1));
      }
      if (this.#current.size === 0 && (found || program.anchored)) break;
      const next = at + (packed & 7);
      const matched = this.#advance(cls, atEnd, next, after, bytes);
      if (matched) found = matched;
      if (atEnd) break;
      [this.#current, this.#next] = [this.#next, this.#current];
      before = after;
      at = next;
    }
    return found;
  }

  #kindBefore(bytes: Uint8Array, at: number): number {
    if (at === 0) return KIND.edge;
    const byte = bytes[at - 1] as number;
    // Kinds only tell ASCII apart, so the last byte of a longer character is enough.
    return byte < 0x80
      ? (this.#program.kindOf[classOf(this.#program, byte)] as number)
      : KIND.other;
  }

  #advance(
    cls: number,
    atEnd: boolean,
    next: number,
    before: number,
    bytes: Uint8Array,
  ): Int32Array | undefined {
    const { op, x, members } = this.#program;
    const current = this.#current;
    const target = this.#next;
    target.size = 0;
    let after: number = KIND.edge;
    if (!atEnd && next < bytes.length) {
      after = this.#program.kindOf[classOf(this.#program, decodeAt(bytes, next) >> 3)] as number;
    }
    for (let i = 0; i < current.size; i++) {
      const pc = current.dense[i] as number;
      const captures = current.captures[i] as Int32Array;
      if (op[pc] === OP.match) return captures;
      if (op[pc] !== OP.set || atEnd) continue;
      if ((members[x[pc] as number] as Uint8Array)[cls] === 1) {
        this.#add(target, pc + 1, next, before, after, captures);
      }
    }
    return undefined;
  }

  /** Follows empty moves in order of preference; captures are copied only when written. */
  #add(
    list: Threads,
    start: number,
    at: number,
    before: number,
    after: number,
    initial: Int32Array,
  ): void {
    const { op, x, y } = this.#program;
    const stack: [number, Int32Array][] = [[start, initial]];
    for (let entry = stack.pop(); entry; entry = stack.pop()) {
      const [pc, captures] = entry;
      const slot = list.sparse[pc] as number;
      if (slot < list.size && list.dense[slot] === pc) continue;
      list.sparse[pc] = list.size;
      list.dense[list.size] = pc;
      list.captures[list.size] = captures;
      list.size++;
      switch (op[pc]) {
        case OP.split:
          stack.push([y[pc] as number, captures], [x[pc] as number, captures]);
          break;
        case OP.jump:
          stack.push([x[pc] as number, captures]);
          break;
        case OP.save: {
          const copy = captures.slice();
          copy[x[pc] as number] = at;
          stack.push([pc + 1, copy]);
          break;
        }
        case OP.assert:
          if (holds(x[pc] as number, before, after)) stack.push([pc + 1, captures]);
          break;
        default:
          break;
      }
    }
  }
}

function threads(program: Program): Threads {
  const size = program.op.length;
  return {
    dense: new Int32Array(size),
    captures: new Array(size),
    sparse: new Int32Array(size),
    size: 0,
  };
}
