import { createHash } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { Lease } from "../buffer.ts";
import { numberOf } from "./entry.ts";
import { ACQUIRE, RELEASE, RENEW } from "./scripts.ts";

/** Times of a lease (spec/logplex.md §12.4), ms. */
export const LEASE = Object.freeze({ ttlMs: 10_000, renewMs: 3000 });

interface Held {
  readonly fence: number;
  readonly controller: AbortController;
  renewedAt: number;
}

interface Surroundings {
  readonly node: string;
  readonly prefix: string;
  readonly clock: Clock;
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  command(command: string, ...args: string[]): Promise<unknown>;
}

/** Who is alive, by the clock of Redis. */
const ALIVE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
`;

/**
 * Rights to deliver drains, spread over the processes by rendezvous hashing: the process that a
 * name prefers takes its lease at once, another one only when it stayed free, and gives it up when
 * the preferred one comes.
 */
export class RedisLeases {
  readonly #around: Surroundings;
  readonly #held = new Map<string, Held>();
  /** Names that were found free though another process is preferred. */
  readonly #passed = new Map<string, number>();
  #alive: readonly string[] = [];
  #seenAt = Number.NEGATIVE_INFINITY;
  #timer: unknown;
  #closed = false;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** The fence under which this process may save, 0 without a lease. */
  fenceOf(name: string): number {
    return this.#held.get(name)?.fence ?? 0;
  }

  async acquire(name: string): Promise<Lease | undefined> {
    const { node, clock, run } = this.#around;
    if (this.#closed || this.#held.has(name)) return undefined;
    await this.#beat();
    const now = clock.now();
    if (!this.#prefers(name)) {
      // Its own process gets the time of one lease to take it.
      const since = this.#passed.get(name);
      if (since === undefined) this.#passed.set(name, now);
      if (since === undefined || now - since < LEASE.ttlMs) return undefined;
    }
    const [lease, fence] = this.#keys(name);
    const number = numberOf(await run(ACQUIRE, [lease, fence], [node, String(LEASE.ttlMs)]));
    if (number === 0) {
      this.#passed.delete(name);
      return undefined;
    }
    this.#passed.delete(name);
    const held: Held = { fence: number, controller: new AbortController(), renewedAt: now };
    this.#held.set(name, held);
    this.#schedule();
    return {
      fence: number,
      lost: held.controller.signal,
      release: () => this.#release(name, held),
    };
  }

  #prefers(name: string): boolean {
    let best = "";
    let winner = this.#around.node;
    for (const node of this.#alive) {
      const weight = createHash("sha256").update(`${name}\n${node}`).digest("hex");
      if (weight > best) {
        best = weight;
        winner = node;
      }
    }
    return winner === this.#around.node;
  }

  /** Says that this process lives and learns who else does. */
  async #beat(): Promise<void> {
    const now = this.#around.clock.now();
    if (now - this.#seenAt < LEASE.renewMs / 2) return;
    this.#seenAt = now;
    this.#alive = (
      (await this.#around.run(
        ALIVE,
        [`${this.#around.prefix}nodes`],
        [this.#around.node, String(LEASE.ttlMs)],
      )) as Buffer[]
    ).map(String);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#around.clock.setTimeout(() => {
      this.#timer = undefined;
      void this.#renew();
    }, LEASE.renewMs);
  }

  async #renew(): Promise<void> {
    const { node, clock, run } = this.#around;
    try {
      await this.#beat();
      await Promise.all(
        [...this.#held].map(async ([name, held]) => {
          const [lease] = this.#keys(name);
          const kept = numberOf(await run(RENEW, [lease], [node, String(LEASE.ttlMs)]));
          if (kept === 0 || !this.#prefers(name)) held.controller.abort();
          else held.renewedAt = clock.now();
        }),
      );
    } catch {
      // Whether the lease still holds can't be known: it counts until its time is over.
      const limit = clock.now() - (LEASE.ttlMs - LEASE.renewMs);
      for (const held of this.#held.values()) if (held.renewedAt <= limit) held.controller.abort();
    }
    if (this.#held.size > 0) this.#schedule();
  }

  async #release(name: string, held: Held): Promise<void> {
    if (this.#held.get(name) !== held) return;
    this.#held.delete(name);
    held.controller.abort();
    const [lease] = this.#keys(name);
    try {
      await this.#around.run(RELEASE, [lease], [this.#around.node]);
    } catch {
      // It ends by itself.
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#around.clock.clearTimeout(this.#timer);
    await Promise.all([...this.#held].map(([name, held]) => this.#release(name, held)));
    try {
      await this.#around.command("ZREM", `${this.#around.prefix}nodes`, this.#around.node);
    } catch {
      // It is forgotten by itself.
    }
  }

  #keys(name: string): [lease: string, fence: string] {
    const tag = `${this.#around.prefix}{lease:${name}}`;
    return [`${tag}:holder`, `${tag}:fence`];
  }
}
