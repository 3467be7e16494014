const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** A line beyond it comes in parts. */
export const MAX_LINE_BYTES = 65_536;

/**
 * Cuts a stream of bytes into lines. A line that grows beyond `maxBytes` comes in parts marked
 * partial; a part never ends inside a UTF-8 sequence.
 */
export class LineSplitter {
  #parts = [];
  #size = 0;
  #maxBytes;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait for their line end. */
  get pending() {
    return this.#size;
  }

  /** Calls `onLine(bytes, partial)` for every line, and part of one, that is complete now. */
  push(chunk, onLine) {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(NEWLINE, start);
      const stop = end === -1 ? chunk.length : end;
      this.#add(chunk, start, stop, onLine);
      if (end === -1) return;
      onLine(withoutCarriageReturn(this.#take()), false);
      start = end + 1;
    }
  }

  /** The last line, when it has no line end. */
  flush(onLine) {
    if (this.#size > 0) onLine(this.#take(), false);
  }

  #add(chunk, start, stop, onLine) {
    let from = start;
    while (this.#size + (stop - from) > this.#maxBytes) {
      const room = this.#maxBytes - this.#size;
      this.#keep(chunk, from, from + room);
      from += room;
      const whole = this.#take();
      const cut = lastBoundary(whole);
      onLine(whole.subarray(0, cut), true);
      if (cut < whole.length) this.#keep(whole, cut, whole.length);
    }
    this.#keep(chunk, from, stop);
  }

  #keep(chunk, start, stop) {
    if (stop <= start) return;
    // A copy: the caller may use its buffer again.
    this.#parts.push(Buffer.from(chunk.subarray(start, stop)));
    this.#size += stop - start;
  }

  #take() {
    const bytes =
      this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts, this.#size);
    this.#parts = [];
    this.#size = 0;
    return bytes;
  }
}

function withoutCarriageReturn(bytes) {
  return bytes.length > 0 && bytes[bytes.length - 1] === CARRIAGE_RETURN
    ? bytes.subarray(0, bytes.length - 1)
    : bytes;
}

/** Where the last complete UTF-8 sequence ends; the whole length for bytes that are not UTF-8. */
export function lastBoundary(bytes) {
  const limit = Math.max(1, bytes.length - 3);
  for (let index = bytes.length - 1; index >= limit; index--) {
    const byte = bytes[index];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return index + length > bytes.length ? index : bytes.length;
  }
  return bytes.length;
}
