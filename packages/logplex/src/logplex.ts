import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Channel } from "./channel/channel.ts";
import { type Clock, type RandomBytes, systemClock } from "./clock.ts";
import type { LogBatch, LogSink } from "./contract.ts";
import { LogplexError } from "./errors.ts";
import { HttpListener, type HttpListenOptions } from "./input/http-listener.ts";
import { DEFAULT_RETENTION, type Retention } from "./ring/ring.ts";
import { type Session, type SessionOptions, Sessions } from "./session/sessions.ts";
import { type TokenOptions, Tokens } from "./token/tokens.ts";

/** Options of {@link Logplex}. */
export interface LogplexOptions {
  /** How long each channel keeps messages; default 1,500 lines, 7 days, 4 MiB, whichever is less. */
  readonly retention?: Partial<Retention> | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: RandomBytes | undefined;
  /** Key that signs session URLs, 32 bytes; give one to share sessions between nodes. Default: random. */
  readonly sessionKey?: Uint8Array | undefined;
  /** Pause between keep-alives of an open session; default 15,000 ms. */
  readonly keepAliveMs?: number | undefined;
  readonly limits?: LogplexLimits | undefined;
}

/** Upper bounds. */
export interface LogplexLimits {
  /** Default 100,000. */
  readonly channels?: number;
  /** Default 50. */
  readonly tailsPerChannel?: number;
}

/** What {@link Logplex.listen} opens. */
export interface ListenOptions {
  /** Inputs and sessions over HTTP. */
  readonly http?: HttpListenOptions | undefined;
}

/**
 * The log router: one channel per app, fed by tokens and in-process writers, read by history,
 * tails, sessions and drains.
 *
 * @example
 * const logplex = new Logplex();
 * logplex.write({ channel: "my-app", source: "app", proc: "web.1", lines: [Buffer.from("hi")], at: Date.now() });
 * console.log(logplex.channel("my-app").history({ query: "dyno:web" }).length);
 * await logplex.close();
 */
export class Logplex implements LogSink {
  readonly #clock: Clock;
  readonly #retention: Retention;
  readonly #limits: Required<LogplexLimits>;
  readonly #channels = new Map<string, Channel>();
  readonly #tokens: Tokens;
  readonly #sessions: Sessions;
  readonly #listeners: { close(): Promise<void> }[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: LogplexOptions = {}) {
    const random = options.random ?? randomBytes;
    this.#clock = options.clock ?? systemClock;
    this.#retention = { ...DEFAULT_RETENTION, ...options.retention };
    this.#limits = { channels: 100_000, tailsPerChannel: 50, ...options.limits };
    this.#tokens = new Tokens(random);
    this.#sessions = new Sessions({
      key: options.sessionKey ?? random(32),
      clock: this.#clock,
      random,
      find: (id) => this.#channels.get(id),
      keepAliveMs: options.keepAliveMs ?? 15_000,
    });
  }

  /** The channel of an app; it is made when it does not exist. */
  channel(id: string): Channel {
    const found = this.#channels.get(id);
    if (found !== undefined) return found;
    this.#assertOpen();
    if (this.#channels.size >= this.#limits.channels)
      throw new LogplexError(
        "limit-reached",
        `There are ${this.#channels.size} channels, the limit; delete some or raise limits.channels.`,
      );
    const channel = new Channel(id, {
      clock: this.#clock,
      retention: this.#retention,
      maxTails: this.#limits.tailsPerChannel,
    });
    this.#channels.set(id, channel);
    return channel;
  }

  /** Whether a channel exists. */
  hasChannel(id: string): boolean {
    return this.#channels.has(id);
  }

  /** Removes a channel with its tokens and messages; open tails end. False when there was none. */
  async deleteChannel(id: string): Promise<boolean> {
    const channel = this.#channels.get(id);
    this.#tokens.deleteChannel(id);
    if (channel === undefined) return false;
    this.#channels.delete(id);
    channel.close();
    return true;
  }

  /** Takes lines of a producer in this process. */
  write(batch: LogBatch): void {
    this.channel(batch.channel).write(batch);
  }

  /** Makes a right to write; the name becomes the source of what is written. Returns the token. */
  createToken(channel: string, name: string, options: TokenOptions = {}): string {
    this.channel(channel);
    return this.#tokens.create(channel, name, options).id;
  }

  /** Takes a right to write back. False when there was none. */
  revokeToken(id: string): boolean {
    return this.#tokens.revoke(id);
  }

  /** Makes a capability to read a channel. Throws `not-found` and `bad-query`. */
  createSession(channel: string, options: SessionOptions = {}): Session {
    this.channel(channel);
    return this.#sessions.create(channel, options);
  }

  /**
   * Answers a request for a session: server-sent events when they are accepted, NDJSON likewise,
   * else plain text. Resolves when the response has ended.
   */
  serveSession(secret: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    return this.#sessions.serve(secret, request, response);
  }

  /** Opens listeners. Resolves when all of them accept connections. */
  async listen(
    options: ListenOptions,
  ): Promise<{ readonly http?: { host: string; port: number } }> {
    this.#assertOpen();
    if (options.http === undefined) return {};
    const listener = new HttpListener({
      sessions: this.#sessions,
      options: options.http,
    });
    this.#listeners.push(listener);
    return { http: await listener.open() };
  }

  /** Ends listeners, tails and drains. Idempotent; afterwards no timer or socket remains. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#sessions.close();
    for (const channel of this.#channels.values()) channel.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw new LogplexError("closed", "This Logplex is closed; make a new one.");
  }
}
