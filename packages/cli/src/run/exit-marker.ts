/** What the wrapped command prints before its status: U+FFFF, which no program prints by chance. */
const marker = "\uffff heroku-command-exit-status: ";
const prefix = Buffer.from(marker);
/** Three digits, CR and LF, and some room. */
const maxTail = 8;

/**
 * The rendezvous protocol has no exit status, so the command prints it last, as Heroku's CLI has it
 * (spec/platform-api.md §4 item 10). In a subshell, for that `exit 3` ends only the command; the
 * trap keeps the shell alive when Ctrl-C ends it.
 */
export function withExitMarker(command: string): string {
  return `trap : INT; (${command}\n); echo "${marker}$?"`;
}

/** Takes the status out of the output; every other byte passes unchanged. */
export class ExitMarker {
  /** Undefined until the status was printed. */
  status: number | undefined;
  #held = Buffer.alloc(0);

  push(chunk: Uint8Array): Buffer {
    const bytes = Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    const out: Buffer[] = [];
    let sent = 0;
    let from = 0;
    for (;;) {
      const start = bytes.indexOf(prefix, from);
      if (start < 0) break;
      const tail = start + prefix.length;
      const end = bytes.indexOf(0x0a, tail);
      if (end < 0 && bytes.length - tail <= maxTail) {
        this.#held = Buffer.from(bytes.subarray(start));
        break;
      }
      from = tail;
      const digits = end < 0 ? null : /^(\d{1,3})\r?$/.exec(bytes.toString("latin1", tail, end));
      if (!digits) continue;
      this.status = Number(digits[1]);
      out.push(bytes.subarray(sent, start));
      sent = end + 1;
      from = sent;
    }
    if (this.#held.length === 0) this.#held = Buffer.from(bytes.subarray(partial(bytes, from)));
    out.push(bytes.subarray(sent, bytes.length - this.#held.length));
    return Buffer.concat(out);
  }

  /** What was held when the output ended. */
  flush(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }
}

/** Where the beginning of the marker stands at the very end, or the length. */
function partial(bytes: Buffer, from: number): number {
  for (let at = Math.max(from, bytes.length - prefix.length + 1); at < bytes.length; at += 1)
    if (bytes[at] === prefix[0] && bytes.subarray(at).equals(prefix.subarray(0, bytes.length - at)))
      return at;
  return bytes.length;
}
