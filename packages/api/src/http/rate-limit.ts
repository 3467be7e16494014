import type { Clock } from "../clock.ts";

interface Bucket {
  tokens: number;
  at: number;
}

/** Capacity and refill of a bucket. */
export interface RateLimitOptions {
  /** Requests that may come at once. */
  readonly capacity: number;
  readonly refillPerMinute: number;
}

/**
 * Token buckets by key. At most `maxKeys` are remembered; the oldest full-enough one makes room,
 * which can only be to its owner's advantage.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #clock: Clock;
  readonly #options: RateLimitOptions;
  readonly #maxKeys: number;

  constructor(clock: Clock, options: RateLimitOptions, maxKeys = 10_000) {
    this.#clock = clock;
    this.#options = options;
    this.#maxKeys = maxKeys;
  }

  #bucket(key: string): Bucket {
    const now = this.#clock.now();
    const { capacity, refillPerMinute } = this.#options;
    const bucket = this.#buckets.get(key) ?? { tokens: capacity, at: now };
    const gained = (Math.max(0, now - bucket.at) / 60_000) * refillPerMinute;
    bucket.tokens = Math.min(capacity, bucket.tokens + gained);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#maxKeys) {
      const oldest = this.#buckets.keys().next().value;
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket;
  }

  /** Takes one; false when none is left. */
  take(key: string): boolean {
    const bucket = this.#bucket(key);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** Whole requests left, without taking one. */
  remaining(key: string): number {
    return Math.floor(this.#bucket(key).tokens);
  }
}
