/** A latch: `set` lets everyone go who waits, and the next one to wait as well. */
export class Latch {
  #set = false;
  #waiting: (() => void)[] = [];

  set(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) this.#set = true;
    for (const go of waiting) go();
  }

  wait(): Promise<void> {
    if (this.#set) {
      this.#set = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
