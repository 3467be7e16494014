/** Upper bounds in seconds, for waits from one ms to minutes. */
const BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

/** How many observations fell under each bound. */
export class Histogram {
  readonly bounds: readonly number[] = BOUNDS;
  /** One more than bounds: the last is beyond them all. */
  readonly counts: number[] = new Array<number>(BOUNDS.length + 1).fill(0);
  sum = 0;
  count = 0;

  /** Adds a value in seconds, as often as `times` says. */
  observe(seconds: number, times = 1): void {
    if (times <= 0) return;
    const value = Math.max(0, seconds);
    let at = 0;
    while (at < BOUNDS.length && value > BOUNDS[at]!) at += 1;
    this.counts[at]! += times;
    this.sum += value * times;
    this.count += times;
  }
}
