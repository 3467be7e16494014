import type { Backend } from "./backend.ts";
import type { CanaryTally } from "./canary.ts";
import type { AppSettings } from "./settings.ts";

/** Something that waits for a backend of an app: a request in the queue. */
export interface Waiter {
  /** A place may be free, or the set of backends changed; look again. */
  onChange(): void;
}

/** One app in the table: its settings and the dynos behind it. */
export class AppRoute {
  /** The app's id: key of the table and name of its log channel. */
  readonly id: string;
  settings: AppSettings;
  /** Requests in progress through this process, those that wait included. */
  inFlight = 0;
  /** Client connections whose last request was for this app. */
  clientConnections = 0;
  /** Position of round-robin. */
  turn = 0;
  /** Backends in state `up`, in order of arrival. Replaced, never changed. */
  up: readonly Backend[] = [];
  bootingCount = 0;
  crashedCount = 0;
  sleepingCount = 0;
  /** Requests and H-codes of the canary release and of the others, while there is one. */
  canary: CanaryTally | null = null;
  /** Taken out of the table. */
  deleted = false;
  readonly backends = new Map<string, Backend>();
  /** Requests that wait, in order of arrival; leaving is O(1). */
  readonly waiters = new Set<Waiter>();

  constructor(id: string, settings: AppSettings) {
    this.id = id;
    this.settings = settings;
  }

  /** Recomputes what follows from the backends' states, then lets the waiting look again. */
  refresh(): void {
    const up: Backend[] = [];
    this.bootingCount = 0;
    this.crashedCount = 0;
    this.sleepingCount = 0;
    for (const backend of this.backends.values()) {
      if (backend.state === "up") up.push(backend);
      else if (backend.state === "booting") this.bootingCount++;
      else if (backend.state === "crashed") this.crashedCount++;
      else if (backend.state === "sleeping") this.sleepingCount++;
    }
    this.up = up;
    this.wakeWaiters(this.waiters.size);
  }

  /** Lets the first waiters look again, in order. */
  wakeWaiters(count: number): void {
    if (this.waiters.size === 0) return;
    if (count === 1) {
      (this.waiters.values().next().value as Waiter).onChange();
      return;
    }
    for (const waiter of [...this.waiters].slice(0, count)) waiter.onChange();
  }

  /** Most requests that may wait for a place. */
  get queueMax(): number {
    const { queueMax, concurrency } = this.settings;
    return queueMax >= 0 ? queueMax : 2 * Math.max(1, this.up.length) * concurrency;
  }
}
