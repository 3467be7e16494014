import type { Histogram } from "./histogram.ts";

/** Names and values that tell the series of one metric apart. */
export type Labels = Readonly<Record<string, string>>;

/** What a metric is; a `summary` has the samples `<name>_sum` and `<name>_count`. */
export type MetricType = "counter" | "gauge" | "summary";

/** A format of metrics: each family is followed by its samples. */
export interface MetricsSink {
  family(name: string, type: MetricType, help: string): void;
  sample(name: string, value: number, labels?: Labels): void;
  histogram(name: string, help: string, histogram: Histogram): void;
}
