/**
 * What the user of a build sees, in the form that Heroku's users know: `-----> ` before a
 * heading, seven spaces before what belongs to it, ` !     ` before a warning.
 */
export class BuildOutput {
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #maxBytes: number;
  #bytes = 0;
  #dropped = 0;

  constructor(sink: (chunk: Uint8Array) => void, maxBytes: number) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** `-----> Building` */
  heading(text: string): void {
    this.write(`-----> ${text}\n`);
  }

  /** Every line of `text` with seven spaces before it. */
  detail(text: string): void {
    this.write(prefixLines(text, "       "));
  }

  /** Every line of `text` with ` !     ` before it. */
  warning(text: string): void {
    this.write(prefixLines(text, " !     "));
  }

  /** Passes bytes on as they are; above the limit they are counted and dropped. */
  write(chunk: string | Uint8Array): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    const room = this.#maxBytes - this.#bytes;
    if (room <= 0) {
      this.#dropped += bytes.length;
      return;
    }
    const passed = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#dropped += bytes.length - passed.length;
    this.#bytes += passed.length;
    this.#emit(passed);
  }

  /** Says how much was dropped, if anything. */
  finish(): void {
    if (this.#dropped === 0) return;
    this.#emit(
      Buffer.from(`\n !     Output was too long: ${this.#dropped} bytes were left out.\n`),
    );
    this.#dropped = 0;
  }

  #emit(bytes: Uint8Array): void {
    try {
      this.#sink(bytes);
    } catch {
      // A viewer that has gone must not fail the build.
    }
  }
}

function prefixLines(text: string, prefix: string): string {
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `${prefix}${line}`.trimEnd())
    .join("\n")
    .concat("\n");
}
