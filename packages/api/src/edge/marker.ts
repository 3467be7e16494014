/** U+FFFF in UTF-8 and what the CLI's command prints after it. */
const PREFIX = Buffer.from("\uffff heroku-command-exit-status: ");
/** Three digits, CR and LF, and some room. */
const MAX_TAIL = 8;

/**
 * The CLI learns the exit status of a one-off from a line that its own command prints, and looks
 * for it inside one received chunk (spec/platform-api.md §4 item 10). Pipes may cut output
 * anywhere, so this gathers such a line and yields it by itself. Nothing is changed or lost, and
 * only what may be the beginning of the line is ever held back.
 */
export class MarkerSplitter {
  #held = Buffer.alloc(0);

  /** Bytes to send now, each element as a write of its own. */
  push(chunk: Uint8Array): Buffer[] {
    const bytes = Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    const out: Buffer[] = [];
    let sent = 0;
    let from = 0;
    for (;;) {
      const start = bytes.indexOf(PREFIX, from);
      if (start < 0) break;
      const tail = start + PREFIX.length;
      const end = bytes.indexOf(0x0a, tail);
      if (end < 0 && bytes.length - tail <= MAX_TAIL) {
        this.#held = bytes.subarray(start);
        break;
      }
      from = tail;
      // Somebody else's text that begins in the same way.
      if (end < 0 || end - tail > MAX_TAIL) continue;
      if (start > sent) out.push(bytes.subarray(sent, start));
      out.push(bytes.subarray(start, end + 1));
      sent = end + 1;
      from = sent;
    }
    if (this.#held.length === 0) this.#held = bytes.subarray(partialPrefix(bytes, from));
    const until = bytes.length - this.#held.length;
    if (until > sent) out.push(bytes.subarray(sent, until));
    return out;
  }

  /** What was held when the output ended. */
  flush(): Buffer[] {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest.length === 0 ? [] : [rest];
  }
}

/** Where the beginning of the prefix stands at the very end, or the length. */
function partialPrefix(bytes: Buffer, from: number): number {
  for (let at = Math.max(from, bytes.length - PREFIX.length + 1); at < bytes.length; at += 1)
    if (bytes[at] === PREFIX[0] && bytes.subarray(at).equals(PREFIX.subarray(0, bytes.length - at)))
      return at;
  return bytes.length;
}
