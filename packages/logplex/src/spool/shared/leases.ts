import { createHash } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { Lease } from "../buffer.ts";

/** Times of a lease (spec/logplex.md §12.4), ms. */
export const LEASE = Object.freeze({ ttlMs: 10_000, renewMs: 3000 });

interface Held {
  readonly fence: number;
  readonly controller: AbortController;
  renewedAt: number;
}

/** What an engine does for leases; anything may reject when it can't be reached. */
export interface LeaseEngine {
  /** Says that this process lives and tells who else does. */
  alive(): Promise<readonly string[]>;
  /** Takes a lease that is free or ours. Returns its fence, 0 when somebody else has it. */
  take(name: string): Promise<number>;
  /** Keeps a lease; false when it is lost. */
  renew(name: string): Promise<boolean>;
  /** Gives a lease up if it is still ours. */
  release(name: string): Promise<void>;
  /** Forgets that this process lives. */
  leave(): Promise<void>;
}

/**
 * Rights to deliver drains, spread over the processes by rendezvous hashing: the process that a
 * name prefers takes its lease at once, another one only when it stayed free, and gives it up when
 * the preferred one comes.
 */
export class Leases {
  readonly #node: string;
  readonly #clock: Clock;
  readonly #engine: LeaseEngine;
  readonly #held = new Map<string, Held>();
  /** Names that were found free though another process is preferred. */
  readonly #passed = new Map<string, number>();
  #alive: readonly string[] = [];
  #seenAt = Number.NEGATIVE_INFINITY;
  #timer: unknown;
  #closed = false;

  constructor(node: string, clock: Clock, engine: LeaseEngine) {
    this.#node = node;
    this.#clock = clock;
    this.#engine = engine;
  }

  /** The fence under which this process may save, 0 without a lease. */
  fenceOf(name: string): number {
    return this.#held.get(name)?.fence ?? 0;
  }

  async acquire(name: string): Promise<Lease | undefined> {
    if (this.#closed || this.#held.has(name)) return undefined;
    await this.#beat();
    const now = this.#clock.now();
    if (!this.#prefers(name)) {
      // Its own process gets the time of one lease to take it.
      const since = this.#passed.get(name);
      if (since === undefined) this.#passed.set(name, now);
      if (since === undefined || now - since < LEASE.ttlMs) return undefined;
    }
    const fence = await this.#engine.take(name);
    if (fence === 0) {
      this.#passed.delete(name);
      return undefined;
    }
    this.#passed.delete(name);
    const held: Held = { fence, controller: new AbortController(), renewedAt: now };
    this.#held.set(name, held);
    this.#schedule();
    return {
      fence,
      lost: held.controller.signal,
      release: () => this.#release(name, held),
    };
  }

  #prefers(name: string): boolean {
    let best = "";
    let winner = this.#node;
    for (const node of this.#alive) {
      const weight = createHash("sha256").update(`${name}\n${node}`).digest("hex");
      if (weight > best) {
        best = weight;
        winner = node;
      }
    }
    return winner === this.#node;
  }

  /** Says that this process lives and learns who else does. */
  async #beat(): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#seenAt < LEASE.renewMs / 2) return;
    this.#seenAt = now;
    this.#alive = await this.#engine.alive();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#renew();
    }, LEASE.renewMs);
  }

  async #renew(): Promise<void> {
    try {
      await this.#beat();
      await Promise.all(
        [...this.#held].map(async ([name, held]) => {
          const kept = await this.#engine.renew(name);
          if (!kept || !this.#prefers(name)) held.controller.abort();
          else held.renewedAt = this.#clock.now();
        }),
      );
    } catch {
      // Whether the lease still holds can't be known: it counts until its time is over.
      const limit = this.#clock.now() - (LEASE.ttlMs - LEASE.renewMs);
      for (const held of this.#held.values()) if (held.renewedAt <= limit) held.controller.abort();
    }
    if (this.#held.size > 0) this.#schedule();
  }

  async #release(name: string, held: Held): Promise<void> {
    if (this.#held.get(name) !== held) return;
    this.#held.delete(name);
    held.controller.abort();
    try {
      await this.#engine.release(name);
    } catch {
      // It ends by itself.
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#clock.clearTimeout(this.#timer);
    await Promise.all([...this.#held].map(([name, held]) => this.#release(name, held)));
    try {
      await this.#engine.leave();
    } catch {
      // It is forgotten by itself.
    }
  }
}
