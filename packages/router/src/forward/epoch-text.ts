const THOUSANDTHS = Array.from({ length: 1000 }, (_, ms) => String(ms).padStart(3, "0"));

/** Writes points in time as ms since the epoch; in one second only the last digits are new. */
export class EpochText {
  #second = Number.NaN;
  #prefix = "";

  /** @param ms - a whole number, positive. */
  format(ms: number): string {
    const second = Math.floor(ms / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prefix = String(second);
    }
    return this.#prefix + (THOUSANDTHS[ms - second * 1000] as string);
  }
}
