import type { Position, Range } from "./position.ts";

/** Turns offsets into positions. Lines end at LF, CRLF and, unless told otherwise, a lone CR. */
export class Locator {
  readonly #starts: number[] = [0];

  constructor(text: string, loneCrEndsLine = true) {
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit === 10 || (unit === 13 && loneCrEndsLine && text.charCodeAt(index + 1) !== 10))
        this.#starts.push(index + 1);
    }
  }

  at(offset: number): Position {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { offset, line: low + 1, column: offset - starts[low]! + 1 };
  }

  range(from: number, to: number): Range {
    return { start: this.at(from), end: this.at(to) };
  }

  /** Offset of the end of the line that holds `offset`, its LF, CRLF or CR included. */
  lineAfter(offset: number): number {
    return this.#starts[this.at(offset).line] ?? Number.POSITIVE_INFINITY;
  }
}
