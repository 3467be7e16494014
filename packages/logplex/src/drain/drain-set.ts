import { randomUUID } from "node:crypto";
import { systemClock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { createOutput, type OutputContext } from "./create-output.ts";
import { Drain } from "./drain.ts";
import type { DrainOutput, DrainPreview } from "./drain-parts.ts";
import type { AddDrainOptions, DrainInfo, DrainSetOptions } from "./drain-set-options.ts";
import { describe, type Entry, ledgerElsewhere } from "./entry.ts";
import { createDrainToken } from "./frame-id.ts";
import type { DrainHealth } from "./health.ts";
import type { LedgerView } from "./ledger.ts";
import { systemResolve } from "./net/lookup.ts";
import {
  checkHeaders,
  type DrainOptions,
  type ParsedDrainOptions,
  parseDrainOptions,
} from "./options.ts";
import { Ownership } from "./ownership.ts";
import type { ReplayTicket } from "./replays.ts";
import { firstSince } from "./source.ts";
import type { DrainStore } from "./store/drain-store.ts";
import { memoryDrainStore } from "./store/memory-store.ts";
import { createHttpTransport } from "./transport/http.ts";
import type { DrainTransport, ProbeReport } from "./transport/transport.ts";
import { type DrainKind, type DrainTarget, parseDrainUrl } from "./url.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** All drains of a process. */
export class DrainSet {
  readonly #options: DrainSetOptions;
  readonly #context: OutputContext;
  readonly #store: DrainStore;
  readonly #entries = new Map<string, Entry>();
  /** The same by channel, since writers ask at every batch. */
  readonly #byChannel = new Map<string, Set<Entry>>();
  #held = false;
  #closing: Promise<readonly LedgerView[]> | undefined;

  constructor(options: DrainSetOptions) {
    this.#options = options;
    this.#store = options.store ?? memoryDrainStore();
    this.#context = {
      clock: options.clock ?? systemClock,
      random: options.random ?? Math.random,
      resolve: options.resolve ?? systemResolve,
      policy: options.policy ?? {},
      kinds: options.kinds ?? {},
      userAgent: options.userAgent ?? "Logplex/dynokit-1",
      ...(options.timeouts ? { timeouts: options.timeouts } : {}),
    };
  }

  /**
   * Adds a drain; without URL it only reserves id and token. Throws `bad-drain-url`, `bad-request`,
   * `bad-query`, `conflict` for a URL that the channel drains to already, and `limit-reached`.
   */
  async add(
    channel: string,
    url: string | undefined,
    options: AddDrainOptions = {},
  ): Promise<DrainInfo> {
    if (this.#closing !== undefined) throw closed();
    const { id = randomUUID(), token = createDrainToken(), fromSeq, ...own } = options;
    this.#checkIdentity(id, token);
    const siblings = this.#of(channel);
    const limit = this.#options.maxPerChannel ?? 20;
    if (siblings.length >= limit) {
      throw new LogplexError(
        "limit-reached",
        `Channel ${channel} has ${limit} drains; remove one before adding another.`,
      );
    }
    const now = this.#context.clock.now();
    const entry: Entry = {
      id,
      token,
      channel,
      createdAt: now,
      updatedAt: now,
      url: undefined,
      options: own,
      kind: undefined,
      dialect: undefined,
      masked: undefined,
      fromSeq: undefined,
      make: undefined,
      drain: undefined,
      ownership: undefined,
      paused: false,
      elsewhere: undefined,
    };
    if (url === undefined) parseDrainOptions(own, "https");
    else this.#connect(entry, url, own, fromSeq);
    this.#entries.set(id, entry);
    this.#byChannel.set(channel, new Set([...siblings, entry]));
    await this.#begin(entry);
    return describe(entry);
  }

  /** Changes URL or options; token, position and ledger stay. Options are replaced as a whole. */
  async update(
    drain: string,
    change: { readonly url?: string; readonly options?: DrainOptions },
  ): Promise<DrainInfo> {
    const entry = this.#get(drain);
    const url = change.url ?? entry.url;
    const options = change.options ?? entry.options;
    if (url === undefined) {
      parseDrainOptions(options, "https");
      entry.options = options;
    } else if (entry.make) {
      const { drain } = entry;
      this.#connect(entry, url, options, undefined);
      if (drain) await drain.replace(this.#output(url, options, entry));
    } else {
      this.#connect(entry, url, options, undefined);
      await this.#begin(entry);
    }
    entry.updatedAt = this.#context.clock.now();
    return describe(entry);
  }

  /** Ends a drain at once; what waits is lost. Returns its last account. */
  async remove(drain: string): Promise<LedgerView | undefined> {
    const entry = this.#get(drain);
    this.#entries.delete(entry.id);
    const siblings = this.#byChannel.get(entry.channel);
    siblings?.delete(entry);
    if (siblings?.size === 0) this.#byChannel.delete(entry.channel);
    const last = await entry.drain?.remove();
    await entry.ownership?.close();
    return last;
  }

  /** Removes all drains of a channel, when the app is deleted. */
  async removeChannel(channel: string): Promise<void> {
    await Promise.all(this.#of(channel).map((entry) => this.remove(entry.id)));
  }

  /** Drains of a channel, or all, in the order they were added. */
  list(channel?: string): DrainInfo[] {
    const entries = channel === undefined ? [...this.#entries.values()] : this.#of(channel);
    return entries.map(describe);
  }

  /** A drain by id, token or URL; the channel narrows the search. */
  find(name: string, channel?: string): DrainInfo | undefined {
    const entry = this.#find(name, channel);
    return entry && describe(entry);
  }

  /** The account of a drain; all zero while it is only reserved. */
  ledger(drain: string): LedgerView {
    const entry = this.#get(drain);
    return entry.drain?.ledger ?? ledgerElsewhere(entry.elsewhere);
  }

  health(drain: string): DrainHealth {
    const entry = this.#get(drain);
    if (entry.drain === undefined && entry.ownership !== undefined)
      return {
        state: "standby",
        paused: entry.paused,
        lag: { messages: this.ledger(drain).pending, bytes: 0, seconds: 0 },
        failures: 0,
        retried: 0,
      };
    return this.#running(drain).health;
  }

  /** Where several processes have the drain, pause it in all of them. */
  pause(drain: string): void {
    const entry = this.#get(drain);
    entry.paused = true;
    if (entry.ownership === undefined || entry.drain) this.#running(drain).pause();
  }

  resume(drain: string): void {
    const entry = this.#get(drain);
    entry.paused = false;
    if (this.#held) return;
    if (entry.ownership === undefined || entry.drain) this.#running(drain).resume();
  }

  /** Holds all drains back, those added later too, or lets those go on that nobody paused. */
  hold(on: boolean): void {
    if (this.#held === on) return;
    this.#held = on;
    for (const { drain, paused } of this.#entries.values()) {
      if (paused) continue;
      if (on) drain?.pause();
      else drain?.resume();
    }
  }

  /**
   * A promise while a drain of the channel with `onFull: "block"` asks writers to wait; undefined
   * when they may go on at once.
   */
  pressure(channel: string): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    for (const { drain } of this.#byChannel.get(channel) ?? []) {
      const wait = drain?.pressure;
      if (wait === undefined) continue;
      waits ??= [];
      waits.push(wait);
    }
    return waits === undefined ? undefined : Promise.all(waits).then(() => undefined);
  }

  /**
   * A way to post JSON to a URL under the same rules as drains. Throws `bad-drain-url`, and
   * `bad-request` for headers that no drain may have.
   */
  poster(url: string, headers: Readonly<Record<string, string>> = {}): DrainTransport {
    const target = this.#parseUrl(url);
    if (target.kind !== "https")
      throw new LogplexError(
        "bad-drain-url",
        "JSON is posted to an https: URL; correct its scheme.",
      );
    checkHeaders(headers, target.kind);
    return createHttpTransport({
      ...this.#context,
      target,
      headers,
      gzip: false,
      concurrency: 1,
    });
  }

  /** Sends one marked line and reports addresses, certificates, outcome and latency. */
  test(drain: string): Promise<ProbeReport> {
    return this.#running(drain).test();
  }

  /** Renders the next batch without sending it. */
  preview(drain: string): DrainPreview {
    return this.#running(drain).preview();
  }

  /** Delivers messages that the channel, or the buffer that it shares, still has once more. */
  async replay(
    drain: string,
    range: { readonly fromSeq?: number; readonly toSeq?: number; readonly since?: number },
  ): Promise<ReplayTicket> {
    const entry = this.#get(drain);
    const source = this.#options.source(entry.channel);
    const running = this.#running(drain);
    // What comes while the beginning is looked for is no part of it.
    const toSeq = Math.min(range.toSeq ?? Number.POSITIVE_INFINITY, source.nextSeq - 1);
    const fromSeq = range.fromSeq ?? (await firstSince(source, range.since));
    return running.replay({
      fromSeq,
      toSeq,
    });
  }

  /**
   * Stops intake, delivers what waits for at most `timeoutMs` (default 10 s) and keeps the rest in
   * the store. Idempotent.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<readonly LedgerView[]> {
    this.#closing ??= this.#close(options.timeoutMs ?? 10_000);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<readonly LedgerView[]> {
    const closed = [...this.#entries.values()].map(async (entry) => {
      const last = await entry.drain?.close(timeoutMs);
      // Only now may another process go on.
      await entry.ownership?.close();
      return last ?? [];
    });
    return (await Promise.all(closed)).flat();
  }

  /** Starts to deliver, or waits for the right to. */
  async #begin(entry: Entry): Promise<void> {
    const { lease } = this.#options;
    if (entry.make === undefined) return;
    if (lease === undefined) {
      entry.drain = entry.make();
      if (entry.paused || this.#held) entry.drain.pause();
      await entry.drain.start();
      return;
    }
    entry.ownership = new Ownership(
      {
        acquire: () => lease(entry.id),
        begin: async () => {
          const drain = entry.make!();
          if (entry.paused || this.#held) drain.pause();
          await drain.start();
          entry.drain = drain;
        },
        end: async () => {
          const { drain } = entry;
          entry.drain = undefined;
          // What is in flight goes out again from its next owner, under the same frame id.
          await drain?.close(0);
        },
        standby: async () => {
          entry.elsewhere = (await this.#store.load(entry.id))?.ledger;
        },
      },
      this.#context.clock,
    );
    await entry.ownership.decided;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }

  #connect(entry: Entry, url: string, options: DrainOptions, fromSeq: number | undefined): void {
    this.#checkDuplicate(entry, url);
    const output = this.#output(url, options, entry);
    const source = this.#options.source(entry.channel);
    const { channel, id, token } = entry;
    const { kind } = this.#parseUrl(url);
    Object.assign(entry, { url, options, kind });
    entry.masked = output.masked;
    entry.dialect = output.options.dialect;
    entry.fromSeq ??= fromSeq ?? source.nextSeq;
    const begin = entry.fromSeq;
    let made: DrainOutput | undefined = output;
    entry.make = () => {
      // The first use may take the one that was checked; each later owner needs its own.
      const own = made ?? this.#output(url, options, entry);
      made = undefined;
      return new Drain(
        {
          id,
          token,
          source,
          store: this.#store,
          spool: this.#options.spool,
          clock: this.#context.clock,
          random: this.#context.random,
          notify: (notice) => this.#options.notify?.(channel, notice),
          onState: (from, to) => this.#options.onState?.({ drain: id, channel, from, to }),
          onTry: (facts) => this.#options.onTry?.({ drain: id, ...facts }),
        },
        own,
        begin,
      );
    };
  }

  /** Checks URL and options and makes what talks to the receiver. */
  #output(url: string, options: DrainOptions, entry: Entry): DrainOutput {
    const target = this.#parseUrl(url);
    return createOutput(target, this.#parse(options, target.kind), entry, this.#context);
  }

  #parseUrl(url: string): DrainTarget {
    return parseDrainUrl(url, this.#context.policy, Object.keys(this.#context.kinds));
  }

  #parse(options: DrainOptions, kind: DrainKind): ParsedDrainOptions {
    const parsed = parseDrainOptions(options, kind);
    if (parsed.onFull === "spool" && !this.#options.spool) {
      throw new LogplexError(
        "bad-request",
        'Drain option onFull: "spool" needs a directory, which the operator has not set; use dropOldest.',
      );
    }
    return parsed;
  }

  #checkIdentity(id: string, token: string): void {
    if (!UUID.test(id) || !token.startsWith("d.") || !UUID.test(token.slice(2))) {
      throw new LogplexError(
        "bad-request",
        `Drain id "${id}" or its token has the wrong form; use a UUID and d.<uuid>, in lower case.`,
      );
    }
    for (const entry of this.#entries.values()) {
      if (entry.id !== id && entry.token !== token) continue;
      throw new LogplexError("conflict", `Drain ${id} exists already; update it instead.`);
    }
  }

  #checkDuplicate(entry: Entry, url: string): void {
    for (const other of this.#of(entry.channel)) {
      if (other.id === entry.id || other.url !== url) continue;
      throw new LogplexError(
        "conflict",
        `Channel ${entry.channel} drains to this URL already (drain ${other.id}); update that one instead.`,
      );
    }
  }

  #of(channel: string): Entry[] {
    return [...(this.#byChannel.get(channel) ?? [])];
  }

  #find(name: string, channel?: string): Entry | undefined {
    for (const entry of this.#entries.values()) {
      if (channel !== undefined && entry.channel !== channel) continue;
      if (entry.id === name || entry.token === name || entry.url === name) return entry;
    }
    return undefined;
  }

  #get(name: string): Entry {
    const entry = this.#find(name);
    if (entry) return entry;
    // The name may be a URL with credentials, so it is not repeated.
    throw new LogplexError("not-found", "There is no such drain; list the drains of the channel.");
  }

  #running(name: string): Drain {
    const { drain, id, ownership } = this.#get(name);
    if (drain) return drain;
    if (ownership !== undefined)
      throw new LogplexError(
        "conflict",
        `Drain ${id} is delivered by another process that shares the buffer; ask that one.`,
      );
    throw new LogplexError("conflict", `Drain ${id} is only reserved; give it a URL first.`);
  }
}

function closed(): LogplexError {
  return new LogplexError("closed", "The drains are closed; make a new Logplex to add drains.");
}
