const newline = 0x0a;
const maxLine = 10_000;

/** Cuts a stream of bytes into lines of at most 10 000 bytes, as logplex takes them. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): Buffer[] {
    let bytes = Buffer.concat([this.#rest, chunk]);
    const lines: Buffer[] = [];
    for (;;) {
      const end = bytes.indexOf(newline);
      if (end >= 0 && end <= maxLine) {
        lines.push(bytes.subarray(0, end > 0 && bytes[end - 1] === 0x0d ? end - 1 : end));
        bytes = bytes.subarray(end + 1);
      } else if (bytes.length > maxLine) {
        lines.push(bytes.subarray(0, maxLine));
        bytes = bytes.subarray(maxLine);
      } else break;
    }
    this.#rest = Buffer.from(bytes);
    return lines;
  }

  /** The last line when it had no end. */
  end(): Buffer[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [rest];
  }
}
