import type { DrainHealth, DrainInfo, LedgerView } from "../drain/index.ts";
import type { LineFigures } from "../formats/line-figures.ts";
import type { Counters } from "./counters.ts";
import type { Histogram } from "./histogram.ts";
import type { Labels, MetricsSink } from "./sink.ts";

/** Drains that have series of their own; the rest is summed, so that series stay few. */
const TOP_DRAINS = 50;

/** What the metrics are made of. */
export interface MetricsSource {
  readonly counters: Counters;
  readonly channels: number;
  readonly ringBytes: number;
  readonly tails: number;
  readonly producerLost: number;
  readonly eventLoopLagSeconds: number;
  readonly damagedRecords: number;
  readonly failedWrites: number;
  readonly requestSeconds: Histogram;
  readonly endToEndSeconds: Histogram;
  readonly figures: readonly LineFigures[];
  readonly drains: readonly {
    readonly info: DrainInfo;
    readonly ledger: LedgerView;
    readonly health: DrainHealth | undefined;
  }[];
}

/** Gives all figures to a format (spec/logplex.md §14). No label holds a secret. */
export function writeMetrics(page: MetricsSink, source: MetricsSource): void {
  const { counters } = source;
  page.family("logrouter_ingest_messages_total", "counter", "Messages taken in.");
  for (const [channel_class, { messages }] of counters.classes)
    for (const [input, value] of Object.entries(messages))
      page.sample("logrouter_ingest_messages_total", value, { channel_class, input });
  page.family("logrouter_ingest_bytes_total", "counter", "Bytes of bodies taken in.");
  for (const [channel_class, { bytes }] of counters.classes)
    for (const [input, value] of Object.entries(bytes))
      page.sample("logrouter_ingest_bytes_total", value, { channel_class, input });
  page.family("logrouter_ingest_rejected_total", "counter", "Messages or requests refused.");
  for (const [reason, value] of Object.entries(counters.rejected))
    page.sample("logrouter_ingest_rejected_total", value, { reason });
  single(
    page,
    "logrouter_producer_lost_total",
    "counter",
    "Messages that producers say they lost.",
    source.producerLost,
  );
  single(page, "logrouter_channels", "gauge", "Channels in memory.", source.channels);
  single(
    page,
    "logrouter_ring_bytes",
    "gauge",
    "Bytes of the buffers of all channels.",
    source.ringBytes,
  );
  single(page, "logrouter_tail_sessions", "gauge", "Open tails.", source.tails);
  single(
    page,
    "logrouter_tail_lost_total",
    "counter",
    "Messages lost to slow tails.",
    counters.tailLost,
  );
  single(
    page,
    "logrouter_spool_damaged_records_total",
    "counter",
    "Records that were skipped.",
    source.damagedRecords,
  );
  single(
    page,
    "logrouter_spool_failed_writes_total",
    "counter",
    "Writes that the disk refused.",
    source.failedWrites,
  );
  single(
    page,
    "logrouter_event_loop_lag_seconds",
    "gauge",
    "Delay of the event loop, 99th percentile.",
    source.eventLoopLagSeconds,
  );
  page.histogram(
    "logrouter_drain_request_seconds",
    "Time of one try to deliver a batch.",
    source.requestSeconds,
  );
  page.histogram(
    "logrouter_end_to_end_seconds",
    "Time from receipt to delivery, by the first and last message of each batch.",
    source.endToEndSeconds,
  );
  drainFamilies(page, source);
  if (source.figures.length > 0) lineFamilies(page, source.figures);
}

function single(
  page: MetricsSink,
  name: string,
  type: "counter" | "gauge",
  help: string,
  value: number,
): void {
  page.family(name, type, help);
  page.sample(name, value);
}

/** What lines say of themselves; a name is a label, since apps choose it. */
function lineFamilies(page: MetricsSink, figures: readonly LineFigures[]): void {
  const each = (kind: string, write: (labels: Labels, value: number, count: number) => void) => {
    for (const { channel, series } of figures)
      for (const { dyno, name, unit, value, count, kind: own } of series)
        if (own === kind) write({ channel, dyno, name, unit }, value, count);
  };
  page.family("logrouter_line_count_total", "counter", "Sums of count# in lines.");
  each("count", (labels, value) => page.sample("logrouter_line_count_total", value, labels));
  page.family("logrouter_line_sample", "gauge", "Latest values of sample# in lines.");
  each("sample", (labels, value) => page.sample("logrouter_line_sample", value, labels));
  page.family("logrouter_line_measure", "summary", "Values of measure# in lines.");
  each("measure", (labels, value, count) => {
    page.sample("logrouter_line_measure_sum", value, labels);
    page.sample("logrouter_line_measure_count", count, labels);
  });
  page.family("logrouter_line_left_out_total", "counter", "Figures beyond 500 series a channel.");
  for (const { channel, leftOut } of figures)
    page.sample("logrouter_line_left_out_total", leftOut, { channel });
}

function drainFamilies(page: MetricsSink, { drains }: MetricsSource): void {
  const byLag = [...drains].sort(
    (a, b) => b.ledger.pending - a.ledger.pending || b.ledger.lostTotal - a.ledger.lostTotal,
  );
  const named = new Set(byLag.slice(0, TOP_DRAINS).map((one) => one.info.id));
  const counter = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    value: (one: MetricsSource["drains"][number]) => number,
  ): void => {
    page.family(name, type, help);
    let rest = 0;
    for (const one of drains) {
      if (named.has(one.info.id)) page.sample(name, value(one), { drain: one.info.id });
      else rest += value(one);
    }
    if (drains.length > named.size) page.sample(name, rest, { drain: "other" });
  };
  counter(
    "logrouter_drain_delivered_total",
    "counter",
    "Messages delivered.",
    (one) => one.ledger.delivered,
  );
  counter(
    "logrouter_drain_filtered_total",
    "counter",
    "Messages kept back by the filter.",
    (one) => one.ledger.filtered,
  );
  counter(
    "logrouter_drain_replayed_total",
    "counter",
    "Messages delivered once more.",
    (one) => one.ledger.replayed,
  );
  counter(
    "logrouter_drain_lag_messages",
    "gauge",
    "Messages that wait.",
    (one) => one.ledger.pending,
  );
  counter(
    "logrouter_drain_lag_bytes",
    "gauge",
    "Bytes that wait.",
    (one) => one.health?.lag.bytes ?? 0,
  );
  counter(
    "logrouter_drain_lag_seconds",
    "gauge",
    "Age of the oldest message that waits; the sum of them for other.",
    (one) => one.health?.lag.seconds ?? 0,
  );
  counter(
    "logrouter_drain_retried_total",
    "counter",
    "Messages that were sent again.",
    (one) => one.health?.retried ?? 0,
  );
  page.family("logrouter_drain_lost_total", "counter", "Messages lost, by cause.");
  const rest = new Map<string, number>();
  for (const { info, ledger } of drains)
    for (const [cause, value] of Object.entries(ledger.lost)) {
      if (named.has(info.id))
        page.sample("logrouter_drain_lost_total", value, { drain: info.id, cause });
      else rest.set(cause, (rest.get(cause) ?? 0) + value);
    }
  for (const [cause, value] of rest)
    page.sample("logrouter_drain_lost_total", value, { drain: "other", cause });
}
