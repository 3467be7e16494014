// Tells when the kernel kills for memory. Version 1 of control groups has no way to wait for it from here.
import { closeSync, openSync, readSync } from "node:fs";

const INTERVAL_MS = 250;
const buffer = Buffer.alloc(4096);

/** One timer for all dynos of a process. */
const checks = new Set();
let timer;

/** Calls `check` every 250 ms. Returns what ends it. */
export function watchMemory(check) {
  checks.add(check);
  timer ??= setInterval(() => {
    for (const one of checks) one();
  }, INTERVAL_MS);
  return () => {
    checks.delete(check);
    if (checks.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Counts the kills in one file, which is held open: a look costs some microseconds. */
export class OomCounter {
  #fd;

  /** `file` is a `memory.oom_control` or `memory.events`. */
  constructor(file) {
    try {
      this.#fd = openSync(file, "r");
    } catch {
      // The group is gone already.
    }
  }

  read() {
    if (this.#fd === undefined) return 0;
    try {
      const text = buffer.latin1Slice(0, readSync(this.#fd, buffer, 0, buffer.length, 0));
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    } catch {
      return 0;
    }
  }

  close() {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
