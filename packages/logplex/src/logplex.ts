import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Duplex } from "node:stream";
import type { Alert, AlertOptions } from "./alert/alert.ts";
import { Alerts } from "./alert/alerts.ts";
import { Channel } from "./channel/channel.ts";
import { type Clock, type RandomBytes, systemClock } from "./clock.ts";
import type { LogBatch, LogBlock, LogSink } from "./contract.ts";
import {
  type DrainHealth,
  type DrainInfo,
  type DrainPreview,
  DrainSet,
  type LedgerView,
  type ProbeReport,
  type ReplayTicket,
} from "./drain/index.ts";
import { LogplexError } from "./errors.ts";
import { Firehose } from "./firehose/firehose.ts";
import type { FirehoseOptions, FirehoseReader } from "./firehose/reader.ts";
import { followFigures, type LineFigures } from "./formats/line-figures.ts";
import { Budgets, DEFAULT_BUDGET } from "./input/budget.ts";
import { FrameIds } from "./input/frame-ids.ts";
import { HttpListener } from "./input/http-listener.ts";
import type { Ingress } from "./input/ingress.ts";
import { SyslogListener, type SyslogListenOptions } from "./input/syslog-listener.ts";
import { UdpListener } from "./input/udp-listener.ts";
import type {
  AddDrainOptions,
  ListenAddress,
  ListenOptions,
  ListenResult,
  LogplexLimits,
  LogplexOptions,
  UpdateDrainOptions,
} from "./logplex-options.ts";
import { type AuditEntry, ControlRods, type Switches } from "./manage/control-rods.ts";
import { ManagementApi } from "./manage/management-api.ts";
import { Counters } from "./metrics/counters.ts";
import type { MetricsSource } from "./metrics/families.ts";
import { Histogram } from "./metrics/histogram.ts";
import {
  type MetricsExport,
  type MetricsExportOptions,
  MetricsPusher,
} from "./metrics/metrics-export.ts";
import { renderOtlpMetrics } from "./metrics/otlp-metrics.ts";
import { renderMetrics } from "./metrics/page.ts";
import { compileRedactor } from "./query/index.ts";
import { DEFAULT_RETENTION, type Retention } from "./ring/ring.ts";
import { type Session, type SessionOptions, Sessions } from "./session/sessions.ts";
import type { LogBuffer } from "./spool/buffer.ts";
import { type Credential, type CredentialOptions, Credentials } from "./token/credentials.ts";
import { type TokenOptions, Tokens } from "./token/tokens.ts";

interface Listener {
  open(): Promise<ListenAddress>;
  close(): Promise<void>;
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
  readonly #random: RandomBytes;
  readonly #retention: Retention;
  readonly #limits: Required<LogplexLimits>;
  readonly #channels = new Map<string, Channel>();
  readonly #tokens: Tokens;
  readonly #credentials: Credentials;
  readonly #sessions: Sessions;
  readonly #manage: ManagementApi;
  readonly #loopDelay: IntervalHistogram;
  readonly #alerts: Alerts;
  readonly #figures = new Map<string, LineFigures>();
  readonly #counters = new Counters();
  readonly #requestSeconds = new Histogram();
  readonly #endToEndSeconds = new Histogram();
  readonly #ingress: Ingress;
  readonly #drains: DrainSet;
  readonly #buffer: LogBuffer | undefined;
  readonly #durability: "memory" | "local" | "quorum";
  readonly #redact: string | undefined;
  readonly #started: Promise<void> | undefined;
  /** Channels that the buffer has from before and nobody asked for yet. */
  readonly #dormant = new Set<string>();
  readonly #rods: ControlRods;
  readonly #firehose: Firehose;
  readonly #exports: MetricsExport[] = [];
  /** From when the sums of the metrics count, ms since the epoch. */
  readonly #since: number;
  readonly #listeners: Listener[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: LogplexOptions = {}) {
    const random = options.random ?? randomBytes;
    this.#random = random;
    this.#clock = options.clock ?? systemClock;
    this.#since = this.#clock.now();
    this.#rods = new ControlRods(this.#clock, options.onAudit);
    this.#firehose = new Firehose({
      clock: this.#clock,
      channels: () => this.#channels.values(),
      allowed: () => this.#rods.switches.firehose,
      onLoss: (count) => {
        this.#counters.tailLost += count;
      },
    });
    this.#retention = { ...DEFAULT_RETENTION, ...options.retention };
    this.#limits = { channels: 100_000, tailsPerChannel: 50, ...options.limits };
    this.#tokens = new Tokens(random);
    this.#credentials = new Credentials(random);
    const budget = options.budget === false ? undefined : { ...DEFAULT_BUDGET, ...options.budget };
    this.#ingress = {
      clock: this.#clock,
      tokens: this.#tokens,
      credentials: this.#credentials,
      budgets: new Budgets(budget, this.#clock, options.routerBudget),
      frameIds: new FrameIds(this.#clock, options.buffer),
      counters: this.#counters,
      switches: this.#rods.switches,
      channel: (id) => this.channel(id),
      durable: (channels) => joinWaits(channels.map((channel) => channel.durable())),
      pressure: (channels) =>
        joinWaits(channels.map((channel) => this.#drains.pressure(channel.id))),
    };
    this.#buffer = options.buffer;
    const quorum = this.#buffer?.quorum === true;
    if (options.durability === "quorum" && !quorum)
      throw new LogplexError(
        "bad-request",
        'This buffer has no replicas to wait for; use durability "local", or redisBuffer or natsBuffer with replicas.',
      );
    if (options.redact !== undefined && options.redact !== "") {
      compileRedactor(options.redact);
      this.#redact = options.redact;
    }
    this.#durability = options.durability ?? (quorum ? "quorum" : "local");
    this.#started = this.#start(random);
    const drainStore = options.drains?.store ?? this.#buffer?.drainStore;
    this.#drains = new DrainSet({
      ...options.drains,
      ...(drainStore === undefined ? {} : { store: drainStore }),
      ...(this.#buffer?.lease === undefined
        ? {}
        : { lease: (drain: string) => this.#buffer!.lease!(drain) }),
      clock: this.#clock,
      onTry: (facts) => {
        this.#requestSeconds.observe(facts.seconds);
        if (facts.outcome !== "delivered") return;
        const half = facts.messages >> 1;
        this.#endToEndSeconds.observe(facts.firstAgeSeconds, facts.messages - half);
        this.#endToEndSeconds.observe(facts.lastAgeSeconds, half);
      },
      source: (id) => this.channel(id),
      notify: (id, { text, pri, sd }) => this.#channels.get(id)?.notice(text, pri, sd),
    });
    this.#alerts = new Alerts(this.#clock, (url) => this.#drains.poster(url));
    const keepAliveMs = options.keepAliveMs ?? 15_000;
    this.#manage = new ManagementApi({
      logplex: this,
      ingress: this.#ingress,
      random,
      keepAliveMs,
    });
    this.#loopDelay = monitorEventLoopDelay({ resolution: 20 });
    this.#sessions = new Sessions({
      key: options.sessionKey ?? random(32),
      clock: this.#clock,
      random,
      find: (id) => (this.hasChannel(id) ? this.channel(id) : undefined),
      keepAliveMs,
      served: () => this.#rods.switches.sessions,
    });
    for (const [name, on] of Object.entries(options.switches ?? {}))
      if (on !== undefined) this.setSwitch(name as keyof Switches, on, "options");
  }

  /** Undefined: the buffer was ready at once. */
  #start(random: RandomBytes): Promise<void> | undefined {
    const buffer = this.#buffer;
    const know = (): void => {
      for (const id of buffer?.channels() ?? []) if (!this.#channels.has(id)) this.#dormant.add(id);
    };
    const started = buffer?.start({ random, onDelete: (id) => this.#forget(id) });
    if (started === undefined) know();
    return started?.then(know);
  }

  /** Another process deleted a channel. */
  #forget(id: string): void {
    const channel = this.#channels.get(id);
    this.removeLineMetrics(id);
    this.#channels.delete(id);
    this.#dormant.delete(id);
    this.#tokens.deleteChannel(id);
    if (channel !== undefined) this.#firehose.remove(channel);
    channel?.close();
  }

  /**
   * Settles when a buffer that several processes share can be reached and, if a channel is named,
   * when that channel's history is here. Without such a buffer there is nothing to wait for.
   */
  async ready(channel?: string): Promise<void> {
    await this.#started;
    if (channel !== undefined) await this.channel(channel).ready();
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
      onTailLoss: (count) => {
        this.#counters.tailLost += count;
      },
      tailsAllowed: () => this.#rods.switches.tails,
      spool: this.#buffer?.open(id),
      durability: this.#durability,
      epoch: Buffer.from(this.#random(8)).toString("hex"),
    });
    if (this.#redact !== undefined) channel.configure({ redact: this.#redact });
    if (!this.#rods.switches.history) channel.switchHistory(false);
    this.#channels.set(id, channel);
    this.#dormant.delete(id);
    this.#firehose.add(channel);
    return channel;
  }

  /** Whether a channel exists. */
  hasChannel(id: string): boolean {
    if (this.#channels.has(id) || this.#dormant.has(id)) return true;
    // Another process may have made it since.
    return this.#started !== undefined && this.#buffer?.channels().includes(id) === true;
  }

  /** Removes a channel with its tokens and messages; open tails end. False when there was none. */
  async deleteChannel(id: string): Promise<boolean> {
    const channel = this.#channels.get(id);
    this.removeLineMetrics(id);
    this.#tokens.deleteChannel(id);
    const known = this.hasChannel(id);
    this.#channels.delete(id);
    this.#dormant.delete(id);
    await this.#drains.removeChannel(id);
    if (channel !== undefined) this.#firehose.remove(channel);
    channel?.close();
    await this.#buffer?.delete(id);
    return known;
  }

  /** Takes lines of a producer in this process. */
  write(batch: LogBatch): void | Promise<void> {
    let bytes = 0;
    for (const line of batch.lines) bytes += line.length;
    const channel = this.channel(batch.channel);
    this.#counters.accept("process", channel.class, batch.lines.length, bytes);
    return this.#written(batch.channel, channel.write(batch));
  }

  /** Takes lines of a producer in this process that lie in one buffer: the cheapest way in. */
  writeBlock(block: LogBlock): void | Promise<void> {
    const { starts, ends, count } = block;
    let bytes = 0;
    for (let one = 0; one < count; one += 1) bytes += ends[one]! - starts[one]!;
    const channel = this.channel(block.channel);
    this.#counters.accept("process", channel.class, count, bytes);
    return this.#written(block.channel, channel.writeBlock(block));
  }

  /** Waits for room in drains that may lose nothing, too. */
  #written(id: string, durable: void | Promise<void>): void | Promise<void> {
    const relief = this.#drains.pressure(id);
    return relief === undefined ? durable : joinWaits([durable ?? undefined, relief]);
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

  /** State of the switches of the operator. */
  get switches(): Readonly<Switches> {
    return this.#rods.switches;
  }

  /** The last 1,000 things that operators did, oldest first. */
  get audit(): readonly AuditEntry[] {
    return this.#rods.audit;
  }

  /** Turns a part of the router off or on at run time; `by` goes to the audit trail. */
  setSwitch(name: keyof Switches, on: boolean, by = "operator"): void {
    if (!this.#rods.turn(name, on, by)) return;
    if (name === "history")
      for (const channel of this.#channels.values()) channel.switchHistory(on);
    if (name === "drains") this.#drains.hold(!on);
    if (name === "tails" && !on) this.#endTails();
    if (name === "firehose" && !on) this.#firehose.close();
    if (name === "sessions" && !on) void this.#sessions.close();
  }

  /**
   * Ends all tails that are open, in this process and over HTTP; new ones may be opened. Returns how
   * many there were.
   */
  killTails(by = "operator"): number {
    const ended = this.#endTails();
    this.#rods.noteKill(ended, by);
    return ended;
  }

  #endTails(): number {
    let ended = 0;
    for (const channel of this.#channels.values()) ended += channel.closeTails();
    this.#sessions.closeTails();
    return ended;
  }

  /**
   * Messages of all channels that this process has, from now on, for operators; see
   * {@link FirehoseReader}. At most 10 at a time. Throws `unavailable` while it is switched off,
   * `too-many-tails` and `bad-query`.
   */
  firehose(options: FirehoseOptions = {}): FirehoseReader {
    this.#assertOpen();
    return this.#firehose.open(options);
  }

  /** Makes a capability to read a channel. Throws `not-found` and `bad-query`. */
  createSession(channel: string, options: SessionOptions = {}): Session {
    this.channel(channel);
    return this.#sessions.create(channel, options);
  }

  /**
   * Adds an output to a channel; without URL only id and token are reserved. Throws
   * `bad-drain-url`, `bad-query`, `conflict` and `limit-reached`.
   */
  async addDrain(
    channel: string,
    url: string | undefined,
    options: AddDrainOptions = {},
  ): Promise<DrainInfo> {
    await this.channel(channel).ready();
    const { query, ...rest } = options;
    return this.#drains.add(channel, url, { ...rest, filter: rest.filter ?? query });
  }

  /** Changes URL or options of a drain; token, position and ledger stay. */
  async updateDrain(drain: string, change: UpdateDrainOptions): Promise<DrainInfo> {
    if (change.options === undefined)
      return this.#drains.update(drain, change.url === undefined ? {} : { url: change.url });
    const { query, ...rest } = change.options;
    return this.#drains.update(drain, {
      ...(change.url === undefined ? {} : { url: change.url }),
      options: { ...rest, filter: rest.filter ?? query },
    });
  }

  /** Ends a drain at once; what waits is lost. Returns its last account. */
  removeDrain(drain: string): Promise<LedgerView | undefined> {
    return this.#drains.remove(drain);
  }

  /** Drains of a channel, or of all, in the order they were added. */
  drains(channel?: string): DrainInfo[] {
    return this.#drains.list(channel);
  }

  /** A drain by id, token or URL. */
  findDrain(name: string, channel?: string): DrainInfo | undefined {
    return this.#drains.find(name, channel);
  }

  /** What became of the messages of a drain: delivered, lost by cause, filtered, waiting. */
  ledger(drain: string): LedgerView {
    return this.#drains.ledger(drain);
  }

  /** State, lag and last error of a drain. */
  drainHealth(drain: string): DrainHealth {
    return this.#drains.health(drain);
  }

  /** Sends one marked line and reports addresses, certificates, outcome and latency. */
  testDrain(drain: string): Promise<ProbeReport> {
    return this.#drains.test(drain);
  }

  /** Renders the next batch of a drain without sending it. */
  previewDrain(drain: string): DrainPreview {
    return this.#drains.preview(drain);
  }

  /** Holds a drain back; its messages wait. */
  pauseDrain(drain: string): void {
    this.#drains.pause(drain);
  }

  /** Lets a paused or disabled drain go on. */
  resumeDrain(drain: string): void {
    this.#drains.resume(drain);
  }

  /** Delivers messages that the channel still has once more; `since` in ms, `to` inclusive. */
  replay(
    drain: string,
    range: { readonly fromSeq?: number; readonly since?: number; readonly to?: number },
  ): Promise<ReplayTicket> {
    const { to, ...rest } = range;
    return this.#drains.replay(drain, { ...rest, ...(to === undefined ? {} : { toSeq: to }) });
  }

  /** Watches a channel: enough matches of a query within a window raise an alert. */
  addAlert(channel: string, options: AlertOptions): Alert {
    return this.#alerts.add(this.channel(channel), options);
  }

  /**
   * Makes metrics of what the lines of a channel say of themselves from now on, as `count#name=1`,
   * `sample#name=2MB` and `measure#name=3ms` do; they stand on the page of metrics. Idempotent.
   */
  addLineMetrics(channel: string): void {
    if (!this.#figures.has(channel))
      this.#figures.set(channel, followFigures(this.channel(channel)));
  }

  /** Ends what {@link addLineMetrics} began; the series go. */
  removeLineMetrics(channel: string): void {
    this.#figures.get(channel)?.close();
    this.#figures.delete(channel);
  }

  /** All figures in the text format of Prometheus. */
  metrics(): string {
    return renderMetrics(this.#metricsSource());
  }

  /**
   * Pushes all figures to a receiver of OTLP/HTTP, as JSON, until the export or this Logplex is
   * closed (spec/logplex.md §14). Throws `bad-drain-url` and `bad-request`.
   */
  exportMetrics(options: MetricsExportOptions): MetricsExport {
    this.#assertOpen();
    const { intervalMs, headers = {}, resource = { "service.name": "logplex" } } = options;
    const url = URL.canParse(options.url) ? new URL(options.url) : null;
    if (url?.pathname === "/") url.pathname = "/v1/metrics";
    const random = (): number => Buffer.from(this.#random(4)).readUInt32BE() / 2 ** 32;
    const transport = this.#drains.poster(url?.href ?? options.url, headers);
    const since = this.#since;
    const render = (): string =>
      renderOtlpMetrics(this.#metricsSource(), { since, now: this.#clock.now(), resource });
    this.#loopDelay.enable();
    const pusher = new MetricsPusher({ clock: this.#clock, random, transport, render }, intervalMs);
    this.#exports.push(pusher);
    return pusher;
  }

  #metricsSource(): MetricsSource {
    let ringBytes = 0;
    let tails = 0;
    let producerLost = 0;
    for (const channel of this.#channels.values()) {
      ringBytes += channel.allocatedBytes;
      tails += channel.tailCount;
      for (const { count } of channel.producerLosses) producerLost += count;
    }
    return {
      counters: this.#counters,
      channels: this.#channels.size,
      ringBytes,
      tails,
      producerLost,
      eventLoopLagSeconds: (this.#loopDelay.percentile(99) || 0) / 1e9,
      damagedRecords: this.#buffer?.faults.damagedRecords ?? 0,
      failedWrites: this.#buffer?.faults.failedWrites ?? 0,
      requestSeconds: this.#requestSeconds,
      endToEndSeconds: this.#endToEndSeconds,
      figures: [...this.#figures.values()],
      drains: this.#drains.list().map((info) => ({
        info,
        ledger: this.#drains.ledger(info.id),
        health: info.url === undefined ? undefined : this.#drains.health(info.id),
      })),
    };
  }

  /**
   * Answers a request for a session: server-sent events when they are accepted, NDJSON likewise,
   * else plain text. Resolves when the response has ended.
   */
  serveSession(secret: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    return this.#sessions.serve(secret, request, response);
  }

  /**
   * Answers the `upgrade` event of an HTTP server for a session: a WebSocket with one text message
   * per line, JSON or, with the subprotocol `logplex.text`, as displayed.
   */
  serveSessionSocket(secret: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#sessions.serveSocket(secret, request, socket, head);
  }

  /** Opens listeners. Resolves when all of them accept connections. */
  async listen(options: ListenOptions): Promise<ListenResult> {
    this.#assertOpen();
    // Measured only by a process that serves.
    this.#loopDelay.enable();
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
              manage: (request, response, pathname) =>
                this.#manage.handle(request, response, pathname),
              metrics: () => this.metrics(),
              reachable: () => this.#buffer?.reachable !== false,
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

  /**
   * Ends listeners and tails, and gives drains at most `timeoutMs` (default 10 s) to deliver what
   * waits. Idempotent; afterwards no timer or socket remains.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? 10_000);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#loopDelay.disable();
    this.#alerts.close();
    for (const pushed of this.#exports) pushed.close();
    for (const figures of this.#figures.values()) figures.close();
    const closed = this.#listeners.map((listener) => listener.close());
    this.#firehose.close();
    await this.#sessions.close();
    await Promise.all(closed);
    await this.#drains.close({ timeoutMs });
    for (const channel of this.#channels.values()) channel.close();
    await this.#buffer?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw new LogplexError("closed", "This Logplex is closed; make a new one.");
  }
}

/** One promise for several; undefined when there is nothing to wait for. */
function joinWaits(waits: readonly (Promise<void> | undefined)[]): Promise<void> | undefined {
  if (waits.every((wait) => wait === undefined)) return undefined;
  return Promise.all(waits).then(() => undefined);
}
