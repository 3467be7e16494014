// What a stream of bytes brings, as blocks of whole lines, with as little work for each line as there can be.
import { lastBoundary, MAX_LINE_BYTES } from "./lines.mjs";

const NEWLINE = 10;

/** Bytes that the area has to have in front of what is pushed: room for the line that was begun. */
export const HEADROOM_BYTES = MAX_LINE_BYTES;

/**
 * Cuts a stream into blocks that end with a line end. A line that grows beyond `MAX_LINE_BYTES` comes in
 * parts; a part never ends inside a UTF-8 sequence.
 */
export class BlockSplitter {
  /** Copies of what follows the last line end. */
  #parts = [];
  #size = 0;

  /**
   * Takes `area[start, end)`, which the caller may use again afterwards, as also the headroom before it.
   * Calls `onBlock(area, from, to, partial)`; what is partial is one part of a line, without an end.
   */
  push(area, start, end, onBlock) {
    const last = start + area.subarray(start, end).lastIndexOf(NEWLINE);
    if (last < start) {
      this.#keep(area, start, end);
      this.#cut(onBlock);
      return;
    }
    let from = start;
    if (this.#size > 0) {
      const first = area.indexOf(NEWLINE, start);
      if (this.#size + (first - start) > MAX_LINE_BYTES) {
        this.#keep(area, start, first);
        this.#cut(onBlock);
        from = first;
      }
      const rest = this.#take();
      from -= rest.length;
      area.set(rest, from);
    }
    onBlock(area, from, last + 1, false);
    this.#keep(area, last + 1, end);
  }

  /** The last line, when it has no line end. */
  flush(onBlock) {
    if (this.#size === 0) return;
    const rest = this.#take();
    onBlock(rest, 0, rest.length, false);
  }

  #keep(area, start, end) {
    if (end <= start) return;
    this.#parts.push(Uint8Array.prototype.slice.call(area, start, end));
    this.#size += end - start;
  }

  #take() {
    const bytes =
      this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts, this.#size);
    this.#parts = [];
    this.#size = 0;
    return bytes;
  }

  /** Gives parts away until what is left is short enough to be held. */
  #cut(onBlock) {
    while (this.#size > MAX_LINE_BYTES) {
      const whole = this.#take();
      const cut = lastBoundary(whole.subarray(0, MAX_LINE_BYTES));
      onBlock(whole, 0, cut, true);
      this.#keep(whole, cut, whole.length);
    }
  }
}

/** Lines of a block; the last of them may have no line end. */
export function countLines(area, from, to) {
  let lines = 0;
  for (let at = from; at < to; lines++) {
    const end = area.indexOf(NEWLINE, at);
    at = end === -1 ? to : end + 1;
  }
  return lines;
}
