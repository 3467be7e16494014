const PREFIX_LENGTH = 20;
const SUFFIX = Buffer.from("+00:00");

/** Octets of the canonical form `2026-03-14T09:26:53.589793+00:00`. */
export const TIMESTAMP_LENGTH = PREFIX_LENGTH + 6 + SUFFIX.length;

/** Writes times as octets; date and second are kept from the message before. */
export class TimestampWriter {
  #second = Number.NaN;
  readonly #prefix = Buffer.alloc(PREFIX_LENGTH);

  /** Writes `micros` at `at` and returns the offset after it. */
  write(target: Buffer, at: number, micros: number): number {
    const second = Math.floor(micros / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix.write(`${new Date(second * 1000).toISOString().slice(0, 19)}.`, "latin1");
    }
    this.#prefix.copy(target, at);
    let fraction = Math.floor(micros - second * 1e6);
    for (let i = at + PREFIX_LENGTH + 5; i >= at + PREFIX_LENGTH; i--) {
      target[i] = 48 + (fraction % 10);
      fraction = Math.floor(fraction / 10);
    }
    SUFFIX.copy(target, at + PREFIX_LENGTH + 6);
    return at + TIMESTAMP_LENGTH;
  }
}
