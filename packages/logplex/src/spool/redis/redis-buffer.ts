import { createHash } from "node:crypto";
import { type Clock, systemClock } from "../../clock.ts";
import type { DrainRecord, DrainStore } from "../../drain/index.ts";
import { LogplexError } from "../../errors.ts";
import type { BufferContext, ChannelSpool, Lease, LogBuffer } from "../buffer.ts";
import { Leases } from "../shared/leases.ts";
import { limitsOf, type SharedBufferOptions, type SharedLimits } from "../shared/limits.ts";
import { openLink, type RedisClient, type RedisLink } from "./client.ts";
import { numberOf } from "./entry.ts";
import { redisLeases } from "./leases.ts";
import { type RedisShared, RedisSpool } from "./redis-spool.ts";
import { SAVE } from "./scripts.ts";

const RETRY_MS = 500;

/** Options of {@link redisBuffer}. */
export interface RedisBufferOptions extends SharedBufferOptions {
  /** Begins all keys; default `lp:`. */
  readonly prefix?: string;
  /** Replicas that must confirm a write with `durability: "quorum"`; default 0. */
  readonly replicas?: number;
}

/**
 * Keeps channels on a Redis that several processes share: all of them see one order of messages,
 * one history, and each drain is delivered by one of them at a time. `client` is one of the
 * packages `ioredis` or `redis`; the buffer opens connections of its own with its settings and
 * leaves it alone.
 *
 * While Redis is away, messages wait in order up to a limit and become visible when it is back;
 * beyond the limit the newest are refused with an L17. A call whose reply was lost is sent again
 * and stored once. What Redis itself loses, it loses: with `appendfsync everysec` up to a second,
 * numbers of which are not given again by a process that saw them. It takes one primary, with
 * replicas and Sentinel if you like, or, with the package `ioredis`, a Redis Cluster: what belongs
 * to one channel or drain has one hash tag and lies on one node. A cluster can't be waited for, so
 * it goes without `replicas`.
 *
 * @example
 * const logplex = new Logplex({ buffer: redisBuffer(redis) });
 */
export function redisBuffer(client: RedisClient, options: RedisBufferOptions = {}): LogBuffer {
  return new RedisBuffer(client, options);
}

class RedisBuffer implements LogBuffer {
  readonly faults = { damagedRecords: 0, failedWrites: 0 };
  readonly quorum: boolean;
  reachable = false;
  readonly drainStore: DrainStore;
  readonly #client: RedisClient;
  readonly #limits: SharedLimits;
  readonly #replicas: number;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #spools = new Map<string, RedisSpool>();
  readonly #known = new Set<string>();
  readonly #hashes = new Map<string, string>();
  /** Names this process among those that share the buffer. */
  #node = "";
  #writer: RedisLink | undefined;
  #listener: RedisLink | undefined;
  #leases: Leases | undefined;
  #shared: RedisShared | undefined;
  #closing: Promise<void> | undefined;
  #retryTimer: unknown;
  #wake: (() => void) | undefined;

  constructor(client: RedisClient, options: RedisBufferOptions) {
    // WAIT has no key, so a cluster's client would send it to any node.
    if ("isCluster" in client && client.isCluster === true && (options.replicas ?? 0) > 0)
      throw new LogplexError(
        "bad-request",
        `A Redis Cluster can't confirm writes on ${options.replicas} replicas; leave \`replicas\` out.`,
      );
    this.#client = client;
    this.#limits = limitsOf(options);
    this.#replicas = options.replicas ?? 0;
    this.#prefix = options.prefix ?? "lp:";
    this.#clock = options.clock ?? systemClock;
    this.quorum = this.#replicas > 0;
    this.drainStore = {
      load: (drain) => this.#load(drain),
      save: (drain, record) => this.#save(drain, record),
      remove: async (drain) => {
        await this.#timed(this.#command("DEL", this.#recordKey(drain)));
      },
    };
  }

  start(context: BufferContext): Promise<void> {
    if (this.#shared !== undefined)
      throw new LogplexError("conflict", "This buffer is in use; make one for each Logplex.");
    this.#node = Buffer.from(context.random(8)).toString("hex");
    const writer = openLink(this.#client);
    const listener = openLink(this.#client);
    this.#writer = writer;
    this.#listener = listener;
    writer.onReady(() => {
      this.reachable = true;
    });
    writer.onLost(() => {
      this.reachable = false;
    });
    const started = this.#untilReached(context);
    this.#shared = {
      prefix: this.#prefix,
      clock: this.#clock,
      random: context.random,
      ...this.#limits,
      replicas: this.#replicas,
      faults: this.faults,
      command: (command, ...args) => this.#command(command, ...args),
      run: (script, keys, args) => this.#run(script, keys, args),
      subscribe: (topic, take) => listener.subscribe(topic, take),
      unsubscribe: (topic) => this.#timed(listener.unsubscribe(topic)),
      started,
      announce: (channel) => this.#announce(channel),
    };
    const engine = redisLeases({
      node: this.#node,
      prefix: this.#prefix,
      run: (script, keys, args) => this.#timed(this.#run(script, keys, args)),
      command: (command, ...args) => this.#timed(this.#command(command, ...args)),
    });
    this.#leases = new Leases(this.#node, this.#clock, engine);
    // Notices are not repeated to whoever was away: look what came meanwhile.
    listener.onReady(() => {
      for (const spool of this.#spools.values()) spool.catchUp();
    });
    return started;
  }

  /** A Redis that can't be reached yet is waited for. */
  async #untilReached(context: BufferContext): Promise<void> {
    for (;;) {
      try {
        await this.#begin(context);
        return;
      } catch {
        if (this.#closing !== undefined) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          this.#retryTimer = this.#clock.setTimeout(resolve, RETRY_MS);
        });
      }
    }
  }

  async #begin(context: BufferContext): Promise<void> {
    await this.#listener!.subscribe(`${this.#prefix}channels`, (message) => {
      const text = message.toString();
      const [head = "", ...rest] = text.split(" ");
      const channel = rest.join(" ");
      if (head.slice(1) === this.#node) return;
      if (head.startsWith("+")) this.#known.add(channel);
      else {
        this.#known.delete(channel);
        const spool = this.#spools.get(channel);
        this.#spools.delete(channel);
        if (spool === undefined) return;
        // Another process deleted it.
        void spool.close();
        context.onDelete?.(channel);
      }
    });
    const names = (await this.#command("SMEMBERS", `${this.#prefix}channels`)) as Buffer[];
    for (const name of names) this.#known.add(name.toString());
  }

  channels(): readonly string[] {
    return [...this.#known];
  }

  open(channel: string): ChannelSpool {
    if (this.#shared === undefined || this.#closing !== undefined)
      throw new LogplexError("closed", "This buffer is not started; pass it to a Logplex.");
    let spool = this.#spools.get(channel);
    if (spool === undefined) {
      spool = new RedisSpool(channel, this.#shared);
      this.#spools.set(channel, spool);
    }
    return spool;
  }

  async #announce(channel: string): Promise<void> {
    if (this.#known.has(channel)) return;
    await this.#command("SADD", `${this.#prefix}channels`, channel);
    this.#known.add(channel);
    await this.#command("PUBLISH", `${this.#prefix}channels`, `+${this.#node} ${channel}`);
  }

  async delete(channel: string): Promise<void> {
    const spool = this.#spools.get(channel) ?? new RedisSpool(channel, this.#shared!);
    this.#spools.delete(channel);
    this.#known.delete(channel);
    await spool.close();
    for (const key of spool.keys) await this.#timed(this.#command("DEL", key));
    await this.#timed(this.#command("SREM", `${this.#prefix}channels`, channel));
    await this.#command("PUBLISH", `${this.#prefix}channels`, `-${this.#node} ${channel}`);
  }

  async claimFrame(key: string, ttlMs: number): Promise<boolean> {
    const name = `${this.#prefix}frame:${key}`;
    const reply = await this.#timed(this.#command("SET", name, "1", "NX", "PX", String(ttlMs)));
    return reply !== null;
  }

  async releaseFrame(key: string): Promise<void> {
    await this.#timed(this.#command("DEL", `${this.#prefix}frame:${key}`));
  }

  lease(name: string): Promise<Lease | undefined> {
    return this.#leases!.acquire(name);
  }

  async #load(drain: string): Promise<DrainRecord | undefined> {
    const found = await this.#timed(this.#command("HGET", this.#recordKey(drain), "text"));
    const text = found as Buffer | null;
    if (text === null) return undefined;
    try {
      return JSON.parse(text.toString()) as DrainRecord;
    } catch {
      // Written by something else: the drain then starts afresh.
      return undefined;
    }
  }

  async #save(drain: string, record: DrainRecord): Promise<void> {
    const fence = this.#leases?.fenceOf(drain) ?? 0;
    const args = [String(fence), JSON.stringify(record)];
    const kept = await this.#timed(this.#run(SAVE, [this.#recordKey(drain)], args));
    if (numberOf(kept) === 0)
      throw new LogplexError("conflict", `Drain ${drain} belongs to another process now.`);
  }

  /** Clients wait for a Redis that is away as long as it takes; who asks here must not. */
  async #timed<T>(work: Promise<T>): Promise<T> {
    let timer: unknown;
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.setTimeout(() => {
        reject(new LogplexError("unavailable", "Redis does not answer; check its connection."));
      }, this.#limits.ackTimeoutMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }

  #recordKey(drain: string): string {
    return `${this.#prefix}{drain:${drain}}:record`;
  }

  async #command(command: string, ...args: (string | Buffer)[]): Promise<unknown> {
    if (this.#writer === undefined) throw new LogplexError("closed", "This buffer is not started.");
    return this.#writer.command(command, ...args);
  }

  async #run(
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> {
    const link = this.#writer!;
    let hash = this.#hashes.get(script);
    if (hash === undefined) {
      hash = createHash("sha1").update(script).digest("hex");
      this.#hashes.set(script, hash);
    }
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await link.command("EVALSHA", hash, ...rest);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    }
    // Goes to the node that has the keys, which knows the script from then on; LOAD goes to any.
    return link.command("EVAL", script, ...rest);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#clock.clearTimeout(this.#retryTimer);
    this.#wake?.();
    await Promise.all([...this.#spools.values()].map((spool) => spool.close()));
    await this.#leases?.close();
    this.#listener?.close();
    this.#writer?.close();
  }
}
