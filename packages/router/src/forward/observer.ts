import diagnostics from "node:diagnostics_channel";
import type { AccessRecord } from "../access-log/line.ts";
import type { AttemptRecord, Phase } from "./exchange/attempt-record.ts";
import { type Member, Members } from "./members.ts";
import { RecentRequests } from "./recent-requests.ts";

/** What an observer reads of an exchange, whichever engine serves it. */
export interface Observed extends Member {
  readonly app: { readonly id: string } | null;
  readonly backend: { readonly dyno: string } | null;
  readonly identity: { readonly requestId: string };
  readonly phase: Phase;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** ms since the epoch. */
  readonly startedEpoch: number;
  readonly sentHeadAt: number;
  readonly lastByteAt: number;
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly received: number;
  readonly bytes: number;
  readonly lint: string | null;
  readonly attempts: readonly AttemptRecord[];
}

/** What is known of a request when it is over. */
export interface EndedRequest extends AccessRecord {
  /** Empty for an unknown host. */
  readonly app: string;
  /** Phase in which it ended. */
  readonly phase: Phase;
}

/** A past request with each of its attempts, for `/requests/<id>`. */
export interface RequestTrace {
  readonly requestId: string;
  readonly app: string;
  readonly status: number;
  readonly code: string | null;
  readonly cause: string | null;
  readonly phase: Phase;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly attempts: readonly AttemptRecord[];
}

/** Borders of duration histograms, in seconds. */
export const DURATION_BORDERS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Borders of the overhead histogram, in seconds. */
export const OVERHEAD_BORDERS: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1,
];

/** Counts by border, plus sum and count. */
export class Histogram {
  readonly borders: readonly number[];
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(borders: readonly number[]) {
    this.borders = borders;
    this.counts = new Float64Array(borders.length + 1);
  }

  observe(value: number): void {
    let i = 0;
    while (i < this.borders.length && value > (this.borders[i] as number)) i++;
    (this.counts[i] as number)++;
    this.sum += value;
    this.count++;
  }
}

const STATUS_CLASSES = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];
const METHOD_CLASSES = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const PROTOCOLS = ["http1.1", "http2.0", "http1.0"];

/** Counters of one app; `""` stands for requests of no app. */
export class AppCounters {
  /** By status class, method class and protocol; see {@link AppCounters.requestRows}. */
  readonly requests = new Float64Array(
    STATUS_CLASSES.length * METHOD_CLASSES.length * PROTOCOLS.length,
  );
  /** By `code|cause`. */
  readonly errors = new Map<string, number>();
  readonly connects = new Map<string, number>();
  readonly retries = new Map<string, number>();
  readonly aborts = new Map<string, number>();
  readonly tunnels = new Map<string, number>();
  readonly tunnelSeconds = new Map<string, Histogram>();
  readonly durations = {
    queue: new Histogram(DURATION_BORDERS),
    connect: new Histogram(DURATION_BORDERS),
    first_byte: new Histogram(DURATION_BORDERS),
    total: new Histogram(DURATION_BORDERS),
  };
  attempts = 0;
  reused = 0;
  queue = 0;
  queueRejected = 0;
  desyncs = 0;
  truncated = 0;
  trailersDropped = 0;
  retryBudgetExhausted = 0;
  received = 0;
  sent = 0;

  /** Counts one request. */
  countRequest(status: number, method: string, protocol: string): void {
    const methodAt = METHOD_CLASSES.indexOf(method);
    const protocolAt = protocol === "http1.1" ? 0 : protocol === "http2.0" ? 1 : 2;
    const at =
      (Math.min(STATUS_CLASSES.length - 1, Math.floor(status / 100)) * METHOD_CLASSES.length +
        (methodAt < 0 ? METHOD_CLASSES.length - 1 : methodAt)) *
        PROTOCOLS.length +
      protocolAt;
    (this.requests[at] as number)++;
  }

  /** The counts that are not zero, with their labels. */
  *requestRows(): Generator<[Record<string, string>, number]> {
    for (const [at, value] of this.requests.entries()) {
      if (value === 0) continue;
      const rest = Math.floor(at / PROTOCOLS.length);
      const labels = {
        code_class: STATUS_CLASSES[Math.floor(rest / METHOD_CLASSES.length)] as string,
        method_class: METHOD_CLASSES[rest % METHOD_CLASSES.length] as string,
        protocol: PROTOCOLS[at % PROTOCOLS.length] as string,
      };
      yield [labels, value];
    }
  }
}

function add(map: Map<string, number>, key: string, amount = 1): void {
  map.set(key, (map.get(key) ?? 0) + amount);
}

const requestEnd = diagnostics.channel("dynokit:router:request:end");

/** Counts what happens and remembers the last requests; read by the admin listener. */
export class Observer {
  readonly inFlight = new Members<Observed>();
  readonly apps = new Map<string, AppCounters>();
  readonly overhead = new Histogram(OVERHEAD_BORDERS);
  readonly connections = new Map<string, number>();
  /** By `listener|protocol`. */
  readonly connectionsTotal = new Map<string, number>();
  /** How late the timer wheel was called, seconds. */
  readonly loopDelay = new Histogram(DURATION_BORDERS);
  /** By `listener|rule`. */
  readonly malformed = new Map<string, number>();
  /** By `app|rule`. */
  readonly lint = new Map<string, number>();
  readonly tlsFailures = new Map<string, number>();
  readonly tlsHandshakes = new Map<string, Histogram>();
  completed = 0;
  /** Called when nothing is in flight any more; set while a router closes. */
  onIdle: (() => void) | null = null;
  readonly #recent = new RecentRequests();

  app(id: string): AppCounters {
    let counters = this.apps.get(id);
    if (counters === undefined) {
      counters = new AppCounters();
      this.apps.set(id, counters);
    }
    return counters;
  }

  connectionOpened(listener: string, protocol: string): void {
    add(this.connections, listener);
    add(this.connectionsTotal, `${listener}|${protocol}`);
  }

  /** Connections of a listener that are open. */
  openConnections(listener: string): number {
    return this.connections.get(listener) ?? 0;
  }

  connectionClosed(listener: string): void {
    add(this.connections, listener, -1);
  }

  connect(app: string, result: string): void {
    add(this.app(app).connects, result);
  }

  retry(app: string, reason: string): void {
    add(this.app(app).retries, reason);
  }

  malformedRequest(listener: string, rule: string): void {
    add(this.malformed, `${listener}|${rule}`);
  }

  tunnelOpened(app: string, protocol: string): void {
    add(this.app(app).tunnels, protocol.toLowerCase());
  }

  tunnelClosed(app: string, protocol: string, seconds: number): void {
    const counters = this.app(app);
    const name = protocol.toLowerCase();
    add(counters.tunnels, name, -1);
    let histogram = counters.tunnelSeconds.get(name);
    if (histogram === undefined) {
      histogram = new Histogram(DURATION_BORDERS);
      counters.tunnelSeconds.set(name, histogram);
    }
    histogram.observe(seconds);
  }

  tlsHandshake(listener: string, seconds: number): void {
    let histogram = this.tlsHandshakes.get(listener);
    if (histogram === undefined) {
      histogram = new Histogram(DURATION_BORDERS);
      this.tlsHandshakes.set(listener, histogram);
    }
    histogram.observe(seconds);
  }

  tlsFailure(listener: string, reason: string): void {
    add(this.tlsFailures, `${listener}|${reason}`);
  }

  /** Something failed that never became a request. */
  failed(app: string, record: AccessRecord): void {
    add(this.app(app).errors, `${record.code}|${record.cause ?? ""}`);
  }

  began(exchange: Observed): void {
    this.inFlight.add(exchange);
  }

  ended(exchange: Observed, record: EndedRequest): void {
    this.inFlight.delete(exchange);
    this.completed++;
    const counters = this.app(record.app);
    counters.countRequest(record.status, record.method, record.protocol);
    const totalMs = exchange.lastByteAt - exchange.startedAt;
    const { durations } = counters;
    durations.total.observe(totalMs / 1000);
    if (exchange.queueMs > 0) durations.queue.observe(exchange.queueMs / 1000);
    if (exchange.connectMs > 0) durations.connect.observe(exchange.connectMs / 1000);
    if (exchange.firstByteMs >= 0) {
      durations.first_byte.observe(exchange.firstByteMs / 1000);
      this.overhead.observe((exchange.sentHeadAt - exchange.startedAt) / 1000);
    }
    counters.received += exchange.received;
    counters.sent += exchange.bytes;
    if (record.code !== null) {
      add(counters.errors, `${record.code}|${record.cause ?? ""}`);
      if (record.code === "H27") add(counters.aborts, record.phase);
      if (record.code === "H11") counters.queueRejected++;
      if (record.code === "H18") counters.truncated++;
    }
    if (exchange.lint !== null) add(this.lint, `${record.app}|${exchange.lint}`);
    this.#recent.add(exchange, record, totalMs);
    if (requestEnd.hasSubscribers) requestEnd.publish(record);
    if (this.onIdle !== null && this.inFlight.size === 0) this.onIdle();
  }

  /** A recent request by its id, newest first. */
  trace(requestId: string): RequestTrace | undefined {
    return this.#recent.find(requestId);
  }
}
