const MAX_HELD = 1_000;

/** Values for any number of followers; one that does not read loses the oldest. */
export class EventQueue<T> {
  readonly #followers = new Set<{ held: T[]; wake: () => void }>();

  push(value: T): void {
    for (const follower of this.#followers) {
      follower.held.push(value);
      if (follower.held.length > MAX_HELD) follower.held.shift();
      follower.wake();
    }
  }

  /** From now on, until the signal aborts. */
  follow(signal: AbortSignal): AsyncIterable<T> {
    const follower = { held: [] as T[], wake: () => {} };
    this.#followers.add(follower);
    const end = () => {
      this.#followers.delete(follower);
      follower.wake();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    const followers = this.#followers;
    return (async function* () {
      try {
        for (;;) {
          while (follower.held.length > 0) yield follower.held.shift() as T;
          if (!followers.has(follower)) return;
          await new Promise<void>((resolve) => {
            follower.wake = resolve;
          });
        }
      } finally {
        followers.delete(follower);
        signal.removeEventListener("abort", end);
      }
    })();
  }
}
