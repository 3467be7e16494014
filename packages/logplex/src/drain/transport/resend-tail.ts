import type { OutgoingFrame } from "./transport.ts";

/** How much of what was written last is kept (spec/logplex.md §9.5). */
export const TAIL_BYTES = 64 * 1024;

/**
 * The newest messages handed to a socket. TCP tells nobody whether they arrived, so after an
 * abnormal close they are sent again: at least once, repeats of up to 64 KiB.
 */
export class ResendTail {
  #parts: Buffer[] = [];
  #size = 0;

  /** Adds the messages of a frame that was written; whole messages at the front fall off. */
  add(frame: OutgoingFrame): void {
    const { body, ends } = frame;
    let from = 0;
    if (body.length > TAIL_BYTES && ends) {
      const first = ends.find((end) => body.length - end <= TAIL_BYTES) ?? body.length;
      from = first;
      this.clear();
    }
    let start = from;
    for (const end of ends ?? [body.length]) {
      if (end <= from) continue;
      // Copied: a view would keep the whole batch alive.
      this.#parts.push(Buffer.from(body.subarray(start, end)));
      this.#size += end - start;
      start = end;
    }
    while (this.#size > TAIL_BYTES) this.#size -= (this.#parts.shift() as Buffer).length;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  clear(): void {
    this.#parts = [];
    this.#size = 0;
  }
}
