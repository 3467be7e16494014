import { type Clock, systemClock } from "../../clock.ts";
import type { DrainStore } from "../../drain/index.ts";
import { LogplexError } from "../../errors.ts";
import type { BufferContext, ChannelSpool, Lease, LogBuffer } from "../buffer.ts";
import { Leases } from "../shared/leases.ts";
import { limitsOf, type SharedBufferOptions, type SharedLimits } from "../shared/limits.ts";
import type { NatsClient } from "./client.ts";
import { NatsFrames } from "./nats-frames.ts";
import { natsLeases } from "./nats-leases.ts";
import { NatsLink, nameOf, tokenOf } from "./nats-link.ts";
import { NatsReader } from "./nats-reader.ts";
import { NatsRecords } from "./nats-records.ts";
import { type NatsShared, NatsSpool } from "./nats-spool.ts";
import { trimToAge } from "./trim.ts";

const RETRY_MS = 500;
/** How long a try may take, ms. */
const TRY_MS = 2000;
/** How often a lost notice is looked for, ms. */
const CHECK_MS = 10_000;
/** Old batches are removed at least so often, ms. */
const SWEEP_MS = 3_600_000;

/**
 * Options of {@link natsBuffer}. Of lines and bytes up to a sixteenth more is kept until the next
 * trim; what is too old is gone up to an eighth of `maxAgeMs`, at most an hour, later.
 */
export interface NatsBufferOptions extends SharedBufferOptions {
  /** Begins all names of streams and subjects: letters, digits, `-` and `_`. Default `lp`. */
  readonly prefix?: string;
  /** Copies that the streams have when they are made: 1, 3 or 5; default 1. */
  readonly replicas?: number;
}

/**
 * Keeps channels on a NATS JetStream that several processes share: all of them see one order of
 * messages, one history, and each drain is delivered by one of them at a time. `connection` is one
 * of the package `@nats-io/transport-node`; the buffer uses it and leaves it open. Make it with
 * `maxReconnectAttempts: -1`, since a connection that has given up is not replaced. The package
 * `@nats-io/jetstream` must be installed; a server from 2.9 on will do.
 *
 * While NATS is away, messages wait in order up to a limit and become visible when it is back;
 * beyond the limit the newest are refused with an L17. A batch whose reply was lost is sent again
 * and stored once. With `replicas: 3` a write settles when most servers have it; with one copy it
 * survives the end of the server's process, and what its machine had not written to disk is lost.
 *
 * @example
 * const logplex = new Logplex({ buffer: natsBuffer(connection) });
 */
export function natsBuffer(connection: NatsClient, options: NatsBufferOptions = {}): LogBuffer {
  return new NatsBuffer(connection, options);
}

class NatsBuffer implements LogBuffer {
  readonly faults = { damagedRecords: 0, failedWrites: 0 };
  readonly quorum: boolean;
  readonly drainStore: DrainStore;
  readonly #limits: SharedLimits;
  readonly #clock: Clock;
  readonly #link: NatsLink;
  readonly #frames: NatsFrames;
  readonly #records: NatsRecords;
  readonly #spools = new Map<string, NatsSpool>();
  readonly #known = new Set<string>();
  /** Names this process among those that share the buffer. */
  #node = "";
  #context: BufferContext | undefined;
  #leases: Leases | undefined;
  #shared: NatsShared | undefined;
  #closing: Promise<void> | undefined;
  #stopListening: (() => void) | undefined;
  #retryTimer: unknown;
  #wake: (() => void) | undefined;
  #checkTimer: unknown;
  #sweepTimer: unknown;
  /** Number of the newest batch at the last check. */
  #checkedSeq = 0;

  constructor(client: NatsClient, options: NatsBufferOptions) {
    const { prefix = "lp", replicas = 1 } = options;
    if (!/^[\w-]{1,64}$/.test(prefix))
      throw new LogplexError(
        "bad-request",
        `The prefix ${JSON.stringify(prefix)} can't name streams; use letters, digits, - and _.`,
      );
    this.#limits = limitsOf(options);
    this.#clock = options.clock ?? systemClock;
    this.quorum = replicas > 1;
    this.#link = new NatsLink({
      client,
      prefix,
      replicas,
      // A second try fits into the time of a write, also while a cluster elects a leader.
      timeoutMs: Math.max(100, Math.min(TRY_MS, this.#limits.ackTimeoutMs / 2)),
      onBack: () => this.#catchUp(),
    });
    this.#frames = new NatsFrames(this.#link, this.#clock);
    this.#records = new NatsRecords(this.#link, (drain) => this.#leases?.fenceOf(drain) ?? 0);
    this.drainStore = this.#records;
  }

  get reachable(): boolean {
    return this.#link.reachable;
  }

  start(context: BufferContext): Promise<void> {
    if (this.#shared !== undefined)
      throw new LogplexError("conflict", "This buffer is in use; make one for each Logplex.");
    this.#context = context;
    this.#node = Buffer.from(context.random(8)).toString("hex");
    const started = this.#untilReached();
    this.#shared = {
      link: this.#link,
      clock: this.#clock,
      random: context.random,
      ...this.#limits,
      faults: this.faults,
      started,
      enter: (channel, epoch) => this.#enter(channel, epoch),
    };
    const engine = natsLeases({
      node: this.#node,
      link: this.#link,
      raiseFence: (name) => this.#records.raiseFence(name),
    });
    this.#leases = new Leases(this.#node, this.#clock, engine);
    return started;
  }

  /** A JetStream that can't be reached yet is waited for. */
  async #untilReached(): Promise<void> {
    while (this.#closing === undefined) {
      try {
        await this.#begin();
        this.#check();
        this.#sweep();
        return;
      } catch (error) {
        if (LogplexError.is(error) && error.code !== "unavailable") throw error;
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#retryTimer = this.#clock.setTimeout(resolve, RETRY_MS);
    });
  }

  async #begin(): Promise<void> {
    await this.#link.open();
    this.#stopListening ??= await this.#link.listen(this.#link.subject("tell"), (data) =>
      this.#hear(Buffer.from(data).toString()),
    );
    await this.#list();
  }

  async #list(): Promise<void> {
    const filter = this.#link.subject("state", "channel", "*");
    for (const subject of await this.#link.subjects("state", filter))
      this.#known.add(nameOf(subject));
  }

  /** Another process made or deleted a channel. */
  #hear(text: string): void {
    const [head = "", token = ""] = text.split(" ");
    if (head.slice(1) === this.#node) return;
    const channel = nameOf(token);
    if (head.startsWith("+")) {
      this.#known.add(channel);
      return;
    }
    this.#known.delete(channel);
    const spool = this.#spools.get(channel);
    this.#spools.delete(channel);
    if (spool === undefined) return;
    void spool.close();
    this.#context?.onDelete?.(channel);
  }

  #catchUp(): void {
    if (this.#shared === undefined || this.#closing !== undefined) return;
    // Notices are not repeated to whoever was away: look what came meanwhile.
    this.#list().catch(() => undefined);
    for (const spool of this.#spools.values()) spool.catchUp();
  }

  /** Between servers of a cluster a notice can get lost though the connection stood. */
  #check(): void {
    if (this.#closing !== undefined) return;
    this.#checkTimer = this.#clock.setTimeout(() => {
      const checked = this.#link.lastSeq("log").then(async (seq) => {
        if (seq === this.#checkedSeq) return;
        this.#checkedSeq = seq;
        for (const spool of this.#spools.values()) await spool.check();
      });
      // What fails is looked for again.
      checked.catch(() => undefined).finally(() => this.#check());
    }, CHECK_MS);
  }

  /** Removes what is too old, of channels that nobody writes to as well. */
  #sweep(): void {
    if (this.#closing !== undefined) return;
    const { maxAgeMs } = this.#limits;
    this.#sweepTimer = this.#clock.setTimeout(
      () => {
        const swept = this.#trimAll(this.#clock.now() - maxAgeMs);
        swept.catch(() => undefined).finally(() => this.#sweep());
      },
      Math.min(SWEEP_MS, maxAgeMs / 8),
    );
  }

  async #trimAll(before: number): Promise<void> {
    for (const channel of [...this.#known]) {
      if (this.#closing !== undefined) return;
      const subject = this.#link.subject("log", tokenOf(channel));
      const reader = new NatsReader(this.#link, subject, this.faults);
      await trimToAge({ link: this.#link, reader, subject }, before);
    }
  }

  channels(): readonly string[] {
    return [...this.#known];
  }

  open(channel: string): ChannelSpool {
    if (this.#shared === undefined || this.#closing !== undefined)
      throw new LogplexError("closed", "This buffer is not started; pass it to a Logplex.");
    let spool = this.#spools.get(channel);
    if (spool === undefined) {
      spool = new NatsSpool(channel, this.#shared);
      this.#spools.set(channel, spool);
    }
    return spool;
  }

  async #enter(channel: string, epoch: string): Promise<string> {
    const token = tokenOf(channel);
    const subject = this.#link.subject("state", "channel", token);
    const found = await this.#link.last("state", subject);
    let kept = found && Buffer.from(found.data).toString();
    if (kept === undefined) {
      const made = await this.#link.publish(subject, Buffer.from(epoch), 0);
      // Somebody else made it at the same time.
      if (made === undefined) return this.#enter(channel, epoch);
      kept = epoch;
    }
    if (!this.#known.has(channel)) {
      this.#known.add(channel);
      this.#link.tell(this.#link.subject("tell"), `+${this.#node} ${token}`);
    }
    return kept;
  }

  async delete(channel: string): Promise<void> {
    const spool = this.#spools.get(channel);
    this.#spools.delete(channel);
    this.#known.delete(channel);
    await spool?.close();
    const token = tokenOf(channel);
    await this.#link.purge("log", this.#link.subject("log", token));
    await this.#link.purge("state", this.#link.subject("state", "channel", token));
    this.#link.tell(this.#link.subject("tell"), `-${this.#node} ${token}`);
  }

  claimFrame(key: string, ttlMs: number): Promise<boolean> {
    return this.#frames.claim(key, ttlMs);
  }

  releaseFrame(key: string): Promise<void> {
    return this.#frames.release(key);
  }

  lease(name: string): Promise<Lease | undefined> {
    return this.#leases!.acquire(name);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of [this.#retryTimer, this.#checkTimer, this.#sweepTimer])
      this.#clock.clearTimeout(timer);
    this.#wake?.();
    await Promise.all([...this.#spools.values()].map((spool) => spool.close()));
    await this.#leases?.close();
    this.#stopListening?.();
    this.#link.close();
  }
}
