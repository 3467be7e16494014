import type { Clock, TimerHandle } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** A clock that moves only when told; see `virtualClock`. */
export interface VirtualClock extends Clock {
  /** Moves time on, firing what comes due in order; between two timers all pending promises settle. */
  advance(ms: number): Promise<void>;
  /** Lets pending promises settle without moving time. */
  settle(): Promise<void>;
  /** Timers that wait; 0 after a clean `close()`. */
  readonly pending: number;
}

/**
 * A clock for tests: time stands still until `advance`.
 *
 * @param start ms since the epoch; default 2026-01-01T00:00:00Z.
 * @example
 * const clock = virtualClock();
 * const manifold = new Manifold({ driver: memoryDriver({ clock }), clock });
 * await clock.advance(24 * 3_600_000);
 */
export function virtualClock(start = Date.UTC(2026, 0, 1)): VirtualClock {
  let now = start;
  let order = 0;
  let live = 0;
  const heap: Timer[] = [];
  const settle = async () => {
    // Promise chains of the manifold and of a driver hand over to each other a few times.
    for (let turn = 0; turn < 6; turn++) await new Promise<void>((next) => setImmediate(next));
  };
  return {
    now: () => now,
    setTimeout(run, ms) {
      const timer = { at: now + Math.max(0, ms), order: order++, run, cancelled: false };
      push(heap, timer);
      live++;
      return timer;
    },
    clearTimeout(handle: TimerHandle) {
      const timer = handle as Timer | undefined;
      if (!timer || timer.cancelled) return;
      timer.cancelled = true;
      live--;
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = heap[0];
        if (!next || next.at > end) break;
        pop(heap);
        if (next.cancelled) continue;
        next.cancelled = true;
        live--;
        now = Math.max(now, next.at);
        next.run();
        // Timers of the same moment run before promises get their turn only where nothing waits.
        await settle();
      }
      now = end;
    },
    settle,
    get pending() {
      return live;
    },
  };
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!before(timer, heap[parent] as Timer)) break;
    heap[index] = heap[parent] as Timer;
    index = parent;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop() as Timer;
  if (heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = index * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child++;
    if (!before(heap[child] as Timer, last)) break;
    heap[index] = heap[child] as Timer;
    index = child;
  }
  heap[index] = last;
}
