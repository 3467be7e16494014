/** One timer for all limits of a router: a wheel of slots (spec/router.md §3). */

import type { RouterClock } from "./clock.ts";

const SLOTS = 1024;
const NONE = -1;

/** Something with at most one limit at a time. Extend it and implement {@link onDeadline}. */
export abstract class Timed {
  /** Monotonic ms at which {@link onDeadline} is due; 0 when no limit runs. */
  deadline = 0;
  /** @internal */
  wheelSlot = NONE;
  /** @internal */
  wheelNext: Timed | null = null;
  /** @internal */
  wheelPrevious: Timed | null = null;
  /** @internal */
  wheelDue = 0;

  /** The limit passed; it is no longer set when this is called. */
  abstract onDeadline(now: number): void;
}

/**
 * Timer wheel. Setting a later limit on something that is in the wheel costs one assignment:
 * the entry is moved when its slot comes up.
 */
export class TimerWheel {
  readonly #clock: RouterClock;
  readonly #tickMs: number;
  readonly #onTick: ((lateMs: number) => void) | null;
  #expectedAt = 0;
  readonly #slots: (Timed | null)[] = new Array(SLOTS).fill(null);
  #size = 0;
  #position = 0;
  #time: number;
  #timer: unknown = null;
  #ticking = false;

  /**
   * @param tickMs - Precision: a limit fires at most this late. Default 100.
   * @param onTick - Told at each tick how late the event loop called it.
   */
  constructor(clock: RouterClock, tickMs = 100, onTick: ((lateMs: number) => void) | null = null) {
    this.#clock = clock;
    this.#onTick = onTick;
    this.#tickMs = tickMs;
    this.#time = clock.monotonic();
  }

  /** Entries with a limit. */
  get size(): number {
    return this.#size;
  }

  /** Sets or replaces the limit of an entry. */
  set(entry: Timed, delayMs: number): void {
    this.setAt(entry, this.#clock.monotonic() + delayMs);
  }

  /** Sets or replaces the limit of an entry to a point in monotonic time. */
  setAt(entry: Timed, deadline: number): void {
    entry.deadline = deadline;
    if (entry.wheelSlot !== NONE) {
      if (entry.wheelDue <= deadline) return;
      this.#unlink(entry);
    }
    this.#insert(entry);
  }

  /** Takes the limit away. The entry stays linked until its slot comes up; it never fires. */
  clear(entry: Timed): void {
    entry.deadline = 0;
  }

  /** Takes the entry out at once; for entries that go away. */
  remove(entry: Timed): void {
    entry.deadline = 0;
    if (entry.wheelSlot !== NONE) this.#unlink(entry);
    if (this.#size === 0 && this.#timer !== null) {
      this.#clock.clearTimeout(this.#timer);
      this.#timer = null;
    }
  }

  #insert(entry: Timed): void {
    if (this.#size === 0 && !this.#ticking) {
      this.#time = this.#clock.monotonic();
      if (this.#timer === null) this.#arm();
    }
    const ticks = Math.min(
      SLOTS - 1,
      Math.max(1, Math.ceil((entry.deadline - this.#time) / this.#tickMs)),
    );
    const slot = (this.#position + ticks) % SLOTS;
    entry.wheelDue = this.#time + ticks * this.#tickMs;
    entry.wheelSlot = slot;
    entry.wheelPrevious = null;
    const first = this.#slots[slot] as Timed | null;
    entry.wheelNext = first;
    if (first !== null) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#size++;
  }

  #unlink(entry: Timed): void {
    if (entry.wheelPrevious === null) this.#slots[entry.wheelSlot] = entry.wheelNext;
    else entry.wheelPrevious.wheelNext = entry.wheelNext;
    if (entry.wheelNext !== null) entry.wheelNext.wheelPrevious = entry.wheelPrevious;
    entry.wheelNext = null;
    entry.wheelPrevious = null;
    entry.wheelSlot = NONE;
    this.#size--;
  }

  #arm(): void {
    this.#expectedAt = this.#clock.monotonic() + this.#tickMs;
    this.#timer = this.#clock.setTimeout(() => this.#tick(), this.#tickMs);
  }

  #tick(): void {
    this.#timer = null;
    const now = this.#clock.monotonic();
    this.#onTick?.(Math.max(0, now - this.#expectedAt));
    // A process that slept catches up, one turn of the wheel at most.
    this.#ticking = true;
    let steps = Math.floor((now - this.#time) / this.#tickMs);
    if (steps > SLOTS) {
      this.#time = now - SLOTS * this.#tickMs;
      steps = SLOTS;
    }
    for (let step = 0; step < steps && this.#size > 0; step++) {
      this.#time += this.#tickMs;
      this.#position = (this.#position + 1) % SLOTS;
      let entry = this.#slots[this.#position] as Timed | null;
      this.#slots[this.#position] = null;
      while (entry !== null) {
        const next: Timed | null = entry.wheelNext;
        entry.wheelNext = null;
        entry.wheelPrevious = null;
        entry.wheelSlot = NONE;
        this.#size--;
        if (next !== null) {
          // Keeps the rest removable while a callback runs.
          next.wheelPrevious = null;
          this.#slots[this.#position] = next;
        } else this.#slots[this.#position] = null;
        const deadline: number = entry.deadline;
        if (deadline !== 0) {
          if (deadline <= now) {
            entry.deadline = 0;
            entry.onDeadline(now);
          } else this.#insert(entry);
        }
        entry = this.#slots[this.#position] as Timed | null;
      }
    }
    this.#ticking = false;
    if (this.#size > 0 && this.#timer === null) this.#arm();
  }

  /** Stops the timer; for a router that is closed. */
  close(): void {
    if (this.#timer !== null) this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
