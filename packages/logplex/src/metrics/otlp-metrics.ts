import { type MetricsSource, writeMetrics } from "./families.ts";
import type { Histogram } from "./histogram.ts";
import type { Labels, MetricsSink, MetricType } from "./sink.ts";

/** From when to when the sums count, ms since the epoch, and of whom they are. */
export interface OtlpContext {
  readonly since: number;
  readonly now: number;
  /** Attributes of the resource, such as `service.name`. */
  readonly resource: Labels;
}

interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly [data: string]: unknown;
}

/** Sums count from the start of the process (`AGGREGATION_TEMPORALITY_CUMULATIVE`). */
const CUMULATIVE = 2;

class OtlpPage implements MetricsSink {
  readonly metrics: Metric[] = [];
  readonly #times: { readonly startTimeUnixNano: string; readonly timeUnixNano: string };
  readonly #points = new Map<string, object[]>();
  #type: MetricType = "gauge";
  #help = "";

  constructor({ since, now }: OtlpContext) {
    this.#times = { startTimeUnixNano: nanos(since), timeUnixNano: nanos(now) };
  }

  family(_name: string, type: MetricType, help: string): void {
    this.#type = type;
    this.#help = help;
  }

  sample(name: string, value: number, labels: Labels = {}): void {
    let points = this.#points.get(name);
    if (points === undefined) {
      points = [];
      this.#points.set(name, points);
      const data =
        this.#type === "gauge"
          ? { gauge: { dataPoints: points } }
          : {
              sum: { dataPoints: points, aggregationTemporality: CUMULATIVE, isMonotonic: true },
            };
      this.metrics.push({ name, description: this.#help, unit: unitOf(name), ...data });
    }
    points.push({ ...this.#times, attributes: attributesOf(labels), asDouble: value });
  }

  histogram(name: string, help: string, { bounds, counts, sum, count }: Histogram): void {
    const point = {
      ...this.#times,
      count: String(count),
      sum,
      bucketCounts: counts.map(String),
      explicitBounds: bounds,
    };
    const histogram = { dataPoints: [point], aggregationTemporality: CUMULATIVE };
    this.metrics.push({ name, description: help, unit: unitOf(name), histogram });
  }
}

/** The figures as the JSON of an `ExportMetricsServiceRequest` (OTLP 1.x, JSON Protobuf encoding). */
export function renderOtlpMetrics(source: MetricsSource, context: OtlpContext): string {
  const page = new OtlpPage(context);
  writeMetrics(page, source);
  const scopeMetrics = [{ scope: { name: "@dynokit/logplex" }, metrics: page.metrics }];
  const resource = { attributes: attributesOf(context.resource) };
  return JSON.stringify({ resourceMetrics: [{ resource, scopeMetrics }] });
}

function attributesOf(labels: Labels): object[] {
  return Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } }));
}

/** 64 bits travel as text. */
const nanos = (ms: number): string => `${Math.round(ms)}000000`;

/** In the units of UCUM, which OpenTelemetry asks for. */
function unitOf(name: string): string {
  if (/_seconds(_|$)/.test(name)) return "s";
  return /_bytes(_|$)/.test(name) ? "By" : "1";
}
