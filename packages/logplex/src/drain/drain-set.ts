import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { LogplexError } from "../errors.ts";
import { type CustomDrainKind, createOutput, type OutputContext } from "./create-output.ts";
import { Drain, type DrainPreview, type ReplayTicket } from "./drain.ts";
import { createDrainToken } from "./frame-id.ts";
import type { DrainHealth, DrainState } from "./health.ts";
import type { LedgerView } from "./ledger.ts";
import { type Resolve, systemResolve } from "./net/lookup.ts";
import type { DrainPolicy } from "./net/policy.ts";
import type { DrainNotice } from "./notices.ts";
import {
  type DrainDialect,
  type DrainOptions,
  type ParsedDrainOptions,
  parseDrainOptions,
} from "./options.ts";
import type { DrainSource } from "./source.ts";
import type { SpoolOptions } from "./store/drain-spool.ts";
import type { DrainStore } from "./store/drain-store.ts";
import { memoryDrainStore } from "./store/memory-store.ts";
import type { HttpTimeouts } from "./transport/http.ts";
import type { ProbeReport } from "./transport/transport.ts";
import { type DrainKind, type DrainTarget, parseDrainUrl } from "./url.ts";

/** Change of a drain's state. */
export interface DrainEvent {
  readonly drain: string;
  readonly channel: string;
  readonly from: DrainState;
  readonly to: DrainState;
}

/** What a {@link DrainSet} is made with. */
export interface DrainSetOptions {
  /** The channel of an id. */
  readonly source: (channel: string) => DrainSource;
  /** Writes a line of the platform (`heroku[logplex]`) into a channel. */
  readonly notify?: (channel: string, notice: DrainNotice) => void;
  readonly onState?: (event: DrainEvent) => void;
  /** What the operator allows; default: public addresses over TLS, and syslog. */
  readonly policy?: DrainPolicy;
  /** Keeps positions and ledgers over restarts; default: memory. */
  readonly store?: DrainStore;
  /** Where drains with `onFull: "spool"` keep what waits; without it that option is refused. */
  readonly spool?: SpoolOptions;
  readonly clock?: Clock;
  /** 0 ≤ x < 1; for the jitter. */
  readonly random?: () => number;
  readonly resolve?: Resolve;
  /** Default 20. */
  readonly maxPerChannel?: number;
  /** Default `Logplex/dynokit-1`. */
  readonly userAgent?: string;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Kinds of drains beyond those built in, by the scheme of their URLs (without colon). */
  readonly kinds?: Readonly<Record<string, CustomDrainKind>>;
}

/** Options of {@link DrainSet.add}. */
export interface AddDrainOptions extends DrainOptions {
  /** UUID to use; give that of an earlier process to continue its work. */
  readonly id?: string;
  /** `d.` and a UUID. */
  readonly token?: string;
  /** First message to deliver; default: the next one to come. */
  readonly fromSeq?: number;
}

/** A drain as listings show it. */
export interface DrainInfo {
  readonly id: string;
  readonly token: string;
  readonly channel: string;
  /** Credentials and query values masked; undefined while the drain is only reserved. */
  readonly url?: string;
  readonly kind?: DrainKind;
  readonly dialect?: DrainDialect;
  readonly filter?: string;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface Entry {
  readonly id: string;
  readonly token: string;
  readonly channel: string;
  readonly createdAt: number;
  updatedAt: number;
  url: string | undefined;
  options: DrainOptions;
  kind: DrainKind | undefined;
  drain: Drain | undefined;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** All drains of a process. */
export class DrainSet {
  readonly #options: DrainSetOptions;
  readonly #context: OutputContext;
  readonly #store: DrainStore;
  readonly #entries = new Map<string, Entry>();
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
      drain: undefined,
    };
    if (url === undefined) parseDrainOptions(own, "https");
    else this.#connect(entry, url, own, fromSeq);
    this.#entries.set(id, entry);
    await entry.drain?.start();
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
    } else if (entry.drain) {
      this.#checkDuplicate(entry, url);
      const target = this.#parseUrl(url);
      const parsed = this.#parse(options, target.kind);
      const output = createOutput(target, parsed, entry, this.#context);
      Object.assign(entry, { url, options, kind: target.kind });
      await entry.drain.replace(output);
    } else {
      this.#connect(entry, url, options, undefined);
      await (entry.drain as Drain | undefined)?.start();
    }
    entry.updatedAt = this.#context.clock.now();
    return describe(entry);
  }

  /** Ends a drain at once; what waits is lost. Returns its last account. */
  async remove(drain: string): Promise<LedgerView | undefined> {
    const entry = this.#get(drain);
    this.#entries.delete(entry.id);
    return entry.drain?.remove();
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
    return this.#get(drain).drain?.ledger ?? EMPTY;
  }

  health(drain: string): DrainHealth {
    return this.#running(drain).health;
  }

  pause(drain: string): void {
    this.#running(drain).pause();
  }

  resume(drain: string): void {
    this.#running(drain).resume();
  }

  /**
   * A promise while a drain of the channel with `onFull: "block"` asks writers to wait; undefined
   * when they may go on at once.
   */
  pressure(channel: string): Promise<void> | undefined {
    const waits = this.#of(channel).flatMap((entry) => entry.drain?.pressure ?? []);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  /** Sends one marked line and reports addresses, certificates, outcome and latency. */
  test(drain: string): Promise<ProbeReport> {
    return this.#running(drain).test();
  }

  /** Renders the next batch without sending it. */
  preview(drain: string): DrainPreview {
    return this.#running(drain).preview();
  }

  /** Delivers messages that the channel still has once more. */
  replay(
    drain: string,
    range: { readonly fromSeq?: number; readonly toSeq?: number; readonly since?: number },
  ): ReplayTicket {
    const entry = this.#get(drain);
    const source = this.#options.source(entry.channel);
    const fromSeq = range.fromSeq ?? firstSince(source, range.since);
    return this.#running(drain).replay({
      fromSeq,
      ...(range.toSeq === undefined ? {} : { toSeq: range.toSeq }),
    });
  }

  /**
   * Stops intake, delivers what waits for at most `timeoutMs` (default 10 s) and keeps the rest in
   * the store. Idempotent.
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<readonly LedgerView[]> {
    this.#closing ??= Promise.all(
      [...this.#entries.values()].flatMap(
        (entry) => entry.drain?.close(options.timeoutMs ?? 10_000) ?? [],
      ),
    );
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().then(() => undefined);
  }

  #connect(entry: Entry, url: string, options: DrainOptions, fromSeq: number | undefined): void {
    this.#checkDuplicate(entry, url);
    const target = this.#parseUrl(url);
    const parsed = this.#parse(options, target.kind);
    const source = this.#options.source(entry.channel);
    const { channel, id, token } = entry;
    Object.assign(entry, { url, options, kind: target.kind });
    entry.drain = new Drain(
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
      },
      createOutput(target, parsed, entry, this.#context),
      fromSeq ?? source.nextSeq,
    );
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
    return [...this.#entries.values()].filter((entry) => entry.channel === channel);
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
    const { drain, id } = this.#get(name);
    if (drain) return drain;
    throw new LogplexError("conflict", `Drain ${id} is only reserved; give it a URL first.`);
  }
}

const EMPTY: LedgerView = Object.freeze({
  received: 0,
  delivered: 0,
  filtered: 0,
  pending: 0,
  lost: {},
  lostTotal: 0,
  ranges: [],
  replayed: 0,
});

function describe(entry: Entry): DrainInfo {
  const { id, token, channel, createdAt, updatedAt, kind, drain, options } = entry;
  return {
    id,
    token,
    channel,
    createdAt,
    updatedAt,
    ...(kind === undefined ? {} : { kind }),
    ...(drain ? { url: drain.output.masked, dialect: drain.output.options.dialect } : {}),
    ...(options.filter === undefined ? {} : { filter: options.filter }),
  };
}

/** First message received at or after a time in ms. */
function firstSince(source: DrainSource, since: number | undefined): number {
  if (since === undefined) return source.firstSeq;
  let low = source.firstSeq;
  let high = source.nextSeq;
  while (low < high) {
    const middle = (low + high) >> 1;
    const [message] = source.read(middle, 1).messages;
    if (message && message.receivedAt < since * 1000) low = middle + 1;
    else high = middle;
  }
  return low;
}

function closed(): LogplexError {
  return new LogplexError("closed", "The drains are closed; make a new Logplex to add drains.");
}
