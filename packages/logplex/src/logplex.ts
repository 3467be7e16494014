import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Channel } from "./channel/channel.ts";
import { type Clock, type RandomBytes, systemClock } from "./clock.ts";
import type { LogBatch, LogSink } from "./contract.ts";
import { LogplexError } from "./errors.ts";
import { type Budget, Budgets, DEFAULT_BUDGET } from "./input/budget.ts";
import { FrameIds } from "./input/frame-ids.ts";
import { HttpListener, type HttpListenOptions } from "./input/http-listener.ts";
import type { Ingress, Switches } from "./input/ingress.ts";
import { SyslogListener, type SyslogListenOptions } from "./input/syslog-listener.ts";
import { UdpListener, type UdpListenOptions } from "./input/udp-listener.ts";
import { Counters } from "./metrics/counters.ts";
import { DEFAULT_RETENTION, type Retention } from "./ring/ring.ts";
import { type Session, type SessionOptions, Sessions } from "./session/sessions.ts";
import { type Credential, type CredentialOptions, Credentials } from "./token/credentials.ts";
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
  /** What one token may write; `false` for no limit. Default 10,000 lines/s and 5 MiB/s. */
  readonly budget?: Partial<Budget> | false | undefined;
}

/** Upper bounds. */
export interface LogplexLimits {
  /** Default 100,000. */
  readonly channels?: number;
  /** Default 50. */
  readonly tailsPerChannel?: number;
}

interface Listener {
  open(): Promise<ListenAddress>;
  close(): Promise<void>;
}

/** What {@link Logplex.listen} opens. */
export interface ListenOptions {
  /** Inputs and sessions over HTTP. */
  readonly http?: HttpListenOptions | undefined;
  /** Syslog over TCP, or over TLS when `tls` is given; several listeners may be given. */
  readonly syslog?: SyslogListenOptions | readonly SyslogListenOptions[] | undefined;
  /** Syslog over UDP. */
  readonly udp?: UdpListenOptions | undefined;
}

/** Where a listener accepts. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What {@link Logplex.listen} opened. */
export interface ListenResult {
  readonly http?: ListenAddress;
  /** The first syslog listener. */
  readonly syslog?: ListenAddress;
  /** All syslog listeners in the order given. */
  readonly syslogs: readonly ListenAddress[];
  readonly udp?: ListenAddress;
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
  readonly #credentials: Credentials;
  readonly #sessions: Sessions;
  readonly #counters = new Counters();
  readonly #ingress: Ingress;
  /** Switches of the operator; change them at any time. */
  readonly switches: Switches = {
    ingress: true,
    history: true,
    tails: true,
    drains: true,
    api: true,
  };
  readonly #listeners: Listener[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: LogplexOptions = {}) {
    const random = options.random ?? randomBytes;
    this.#clock = options.clock ?? systemClock;
    this.#retention = { ...DEFAULT_RETENTION, ...options.retention };
    this.#limits = { channels: 100_000, tailsPerChannel: 50, ...options.limits };
    this.#tokens = new Tokens(random);
    this.#credentials = new Credentials(random);
    const budget = options.budget === false ? undefined : { ...DEFAULT_BUDGET, ...options.budget };
    this.#ingress = {
      clock: this.#clock,
      tokens: this.#tokens,
      credentials: this.#credentials,
      budgets: new Budgets(budget, this.#clock),
      frameIds: new FrameIds(this.#clock),
      counters: this.#counters,
      switches: this.switches,
      channel: (id) => this.channel(id),
      durable: () => undefined,
    };
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

  /** Makes a right that spans channels: writing to any of them, or the management API. */
  createCredential(options: CredentialOptions): Credential {
    return this.#credentials.create(options);
  }

  /** Takes such a right back. False when there was none. */
  revokeCredential(id: string): boolean {
    return this.#credentials.revoke(id);
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
  async listen(options: ListenOptions): Promise<ListenResult> {
    this.#assertOpen();
    const { syslog } = options;
    const wanted: readonly SyslogListenOptions[] =
      syslog === undefined ? [] : Array.isArray(syslog) ? syslog : [syslog as SyslogListenOptions];
    const http =
      options.http === undefined
        ? undefined
        : await this.#open(
            new HttpListener({
              ingress: this.#ingress,
              sessions: this.#sessions,
              options: options.http,
            }),
          );
    const syslogs: ListenAddress[] = [];
    for (const one of wanted)
      syslogs.push(await this.#open(new SyslogListener(this.#ingress, one)));
    const udp =
      options.udp === undefined
        ? undefined
        : await this.#open(new UdpListener(this.#ingress, options.udp));
    return {
      ...(http === undefined ? {} : { http }),
      ...(syslogs[0] === undefined ? {} : { syslog: syslogs[0] }),
      syslogs,
      ...(udp === undefined ? {} : { udp }),
    };
  }

  async #open(listener: Listener): Promise<ListenAddress> {
    const address = await listener.open();
    this.#listeners.push(listener);
    return address;
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
