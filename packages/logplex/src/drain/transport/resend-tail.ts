import type { OutgoingFrame } from "./transport.ts";

/** How much of what was written last is kept (spec/logplex.md §9.5). */
export const TAIL_BYTES = 64 * 1024;

/** Messages of one frame, of which those before `from` were given up. */
interface Part {
  readonly bytes: Buffer;
  /** Where each message ends. */
  readonly ends: Uint32Array;
  from: number;
  /** Index of the first message that is kept. */
  next: number;
}

/**
 * The newest messages handed to a socket. TCP tells nobody whether they arrived, so after an
 * abnormal close they are sent again: at least once, repeats of up to 64 KiB.
 */
export class ResendTail {
  #parts: Part[] = [];
  #size = 0;

  /** Adds the messages of a frame that was written; whole messages at the front fall off. */
  add(frame: OutgoingFrame): void {
    const { body, ends = Uint32Array.of(body.length) } = frame;
    let first = 0;
    if (body.length > TAIL_BYTES) {
      this.clear();
      // The first message that ends within the newest bytes is the last that may be cut off.
      let high = ends.length;
      while (first < high) {
        const middle = (first + high) >> 1;
        if (body.length - ends[middle]! > TAIL_BYTES) first = middle + 1;
        else high = middle;
      }
      first += 1;
    }
    const from = first === 0 ? 0 : (ends[first - 1] ?? body.length);
    if (from === body.length) return;
    // Copied: a view would keep the whole batch alive.
    const bytes = Buffer.from(body.subarray(from));
    const own = Uint32Array.from(ends.subarray(first), (end) => end - from);
    this.#parts.push({ bytes, ends: own, from: 0, next: 0 });
    this.#size += bytes.length;
    this.#trim();
  }

  #trim(): void {
    while (this.#size > TAIL_BYTES) {
      const part = this.#parts[0]!;
      const end = part.ends[part.next] ?? part.bytes.length;
      this.#size -= end - part.from;
      part.from = end;
      part.next += 1;
      if (part.from === part.bytes.length) this.#parts.shift();
    }
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts.map(({ bytes, from }) => bytes.subarray(from)));
  }

  clear(): void {
    this.#parts = [];
    this.#size = 0;
  }
}
