/** Prometheus text of what a router counted (spec/router.md §25). */

import type { AppCounters, Histogram, Observer } from "../forward/observer.ts";
import type { RouteTable } from "../table/route-table.ts";
import type { CertificateStore } from "../tls/certificate-store.ts";

/** What the metrics are read from. */
export interface MetricSources {
  readonly observer: Observer;
  readonly routes: RouteTable;
  readonly logDropped: number;
  readonly certificates: readonly CertificateStore[];
  /** ms since the epoch. */
  readonly now: number;
  readonly backends: readonly {
    readonly app: string;
    readonly idle: number;
    readonly active: number;
  }[];
}

/** Escapes a label value. */
function label(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function labels(pairs: Readonly<Record<string, string>>): string {
  const list = Object.entries(pairs).map(([name, value]) => `${name}="${label(value)}"`);
  return list.length === 0 ? "" : `{${list.join(",")}}`;
}

/** Collects lines by metric, so that each has its type once. */
class Page {
  readonly #metrics = new Map<string, string[]>();

  add(
    type: "counter" | "gauge" | "histogram",
    name: string,
    pairs: Readonly<Record<string, string>>,
    value: number,
  ): void {
    this.#lines(type, name).push(`${name}${labels(pairs)} ${value}`);
  }

  histogram(name: string, pairs: Readonly<Record<string, string>>, histogram: Histogram): void {
    const lines = this.#lines("histogram", name);
    let sum = 0;
    for (const [i, border] of histogram.borders.entries()) {
      sum += histogram.counts[i] as number;
      lines.push(`${name}_bucket${labels({ ...pairs, le: String(border) })} ${sum}`);
    }
    lines.push(`${name}_bucket${labels({ ...pairs, le: "+Inf" })} ${histogram.count}`);
    lines.push(`${name}_sum${labels(pairs)} ${histogram.sum}`);
    lines.push(`${name}_count${labels(pairs)} ${histogram.count}`);
  }

  #lines(type: string, name: string): string[] {
    let lines = this.#metrics.get(name);
    if (lines === undefined) {
      lines = [`# TYPE ${name} ${type}`];
      this.#metrics.set(name, lines);
    }
    return lines;
  }

  toString(): string {
    return `${[...this.#metrics.values()].map((lines) => lines.join("\n")).join("\n")}\n`;
  }
}

/** Renders all metrics. Label `app` is only ever a known app; hosts and paths never become labels. */
export function renderMetrics(sources: MetricSources): string {
  const page = new Page();
  const { observer, routes } = sources;
  for (const [app, counters] of observer.apps) renderApp(page, app, counters);
  const inFlight = new Map<string, number>();
  for (const exchange of observer.inFlight) {
    const app = exchange.app?.id ?? "";
    inFlight.set(app, (inFlight.get(app) ?? 0) + 1);
  }
  for (const app of observer.apps.keys())
    page.add("gauge", "router_inflight_requests", { app }, inFlight.get(app) ?? 0);
  page.histogram("router_overhead_seconds", {}, observer.overhead);
  for (const { app, idle, active } of sources.backends) {
    page.add("gauge", "router_backend_connections", { app, state: "idle" }, idle);
    page.add("gauge", "router_backend_connections", { app, state: "active" }, active);
  }
  const now = routes.clock.monotonic();
  for (const route of routes.apps()) {
    const app = route.id;
    const quarantined = route.up.filter((backend) => backend.quarantinedUntil > now).length;
    const ejected = route.up.filter((backend) => backend.ejectedUntil > now).length;
    page.add("gauge", "router_backend_quarantined", { app }, quarantined);
    page.add("gauge", "router_backend_ejected", { app }, ejected);
  }
  renderListeners(page, observer);
  for (const store of sources.certificates)
    for (const { name, validTo } of store.list())
      page.add(
        "gauge",
        "router_certificate_expiry_seconds",
        { name },
        Math.round((validTo - sources.now) / 1000),
      );
  page.add("gauge", "router_table_age_seconds", {}, routes.ageMs / 1000);
  page.add("gauge", "router_table_routes", {}, routes.size);
  page.add("gauge", "router_table_version", {}, routes.version);
  page.add("counter", "router_log_dropped_total", {}, sources.logDropped);
  // Every limit is per process, so their number belongs to reading the others.
  page.add("gauge", "router_processes", {}, 1);
  page.histogram(
    "router_event_loop_delay_seconds",
    { process: String(process.pid) },
    observer.loopDelay,
  );
  return page.toString();
}

function split(key: string, names: readonly string[]): Record<string, string> {
  const parts = key.split("|");
  return Object.fromEntries(names.map((name, i) => [name, parts[i] ?? ""]));
}

function renderApp(page: Page, app: string, counters: AppCounters): void {
  for (const [labels, value] of counters.requestRows())
    page.add("counter", "router_requests_total", { app, ...labels }, value);
  for (const [key, value] of counters.errors)
    page.add("counter", "router_errors_total", { app, ...split(key, ["code", "cause"]) }, value);
  for (const [phase, histogram] of Object.entries(counters.durations))
    page.histogram("router_request_duration_seconds", { app, phase }, histogram);
  page.add("gauge", "router_queue_length", { app }, counters.queue);
  page.add("counter", "router_queue_rejected_total", { app }, counters.queueRejected);
  page.add("counter", "router_attempts_total", { app }, counters.attempts);
  for (const [reason, value] of counters.retries)
    page.add("counter", "router_retries_total", { app, reason }, value);
  page.add(
    "counter",
    "router_retry_budget_exhausted_total",
    { app },
    counters.retryBudgetExhausted,
  );
  for (const [result, value] of counters.connects)
    page.add("counter", "router_backend_connects_total", { app, result }, value);
  page.add("counter", "router_backend_reused_total", { app }, counters.reused);
  page.add("counter", "router_backend_desync_total", { app }, counters.desyncs);
  page.add("counter", "router_response_truncated_total", { app }, counters.truncated);
  page.add("counter", "router_trailers_dropped_total", { app }, counters.trailersDropped);
  for (const [phase, value] of counters.aborts)
    page.add("counter", "router_client_aborts_total", { app, phase }, value);
  page.add("counter", "router_bytes_total", { app, direction: "in" }, counters.received);
  page.add("counter", "router_bytes_total", { app, direction: "out" }, counters.sent);
  for (const [protocol, value] of counters.tunnels)
    page.add("gauge", "router_tunnels", { app, protocol }, value);
  for (const [protocol, histogram] of counters.tunnelSeconds)
    page.histogram("router_tunnel_duration_seconds", { app, protocol }, histogram);
}

function renderListeners(page: Page, observer: Observer): void {
  for (const [listener, value] of observer.connections)
    page.add("gauge", "router_connections", { listener }, value);
  for (const [key, value] of observer.connectionsTotal)
    page.add("counter", "router_connections_total", split(key, ["listener", "protocol"]), value);
  for (const [key, value] of observer.malformed)
    page.add("counter", "router_malformed_total", split(key, ["listener", "rule"]), value);
  for (const [key, value] of observer.lint)
    page.add("counter", "router_lint_total", split(key, ["app", "rule"]), value);
  for (const [listener, histogram] of observer.tlsHandshakes)
    page.histogram("router_tls_handshake_seconds", { listener }, histogram);
  for (const [key, value] of observer.tlsFailures)
    page.add("counter", "router_tls_failures_total", split(key, ["listener", "reason"]), value);
}
