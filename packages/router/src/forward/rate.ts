const MAX_KEYS = 100_000;

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets by key; the least recently made go first when there are too many. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes a token. Returns 0, or the seconds until there is one. */
  take(
    key: string,
    rate: { readonly perSecond: number; readonly burst: number },
    now: number,
  ): number {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_KEYS)
        this.#buckets.delete(this.#buckets.keys().next().value as string);
      bucket = { tokens: rate.burst, at: now };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(
      rate.burst,
      bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond,
    );
    bucket.at = now;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return 0;
    }
    return Math.ceil((1 - bucket.tokens) / rate.perSecond);
  }
}
