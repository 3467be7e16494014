import { type MetricsSource, writeMetrics } from "./families.ts";
import type { Histogram } from "./histogram.ts";
import type { Labels, MetricsSink, MetricType } from "./sink.ts";

class Page implements MetricsSink {
  #text = "";

  family(name: string, type: MetricType, help: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  sample(name: string, value: number, labels: Labels = {}): void {
    const pairs = Object.entries(labels).map(
      ([key, text]) =>
        `${key}="${text.replace(/[\\"\n]/g, (one) => (one === "\n" ? "\\n" : `\\${one}`))}"`,
    );
    this.#text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  }

  histogram(name: string, help: string, { bounds, counts, sum, count }: Histogram): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} histogram\n`;
    let below = 0;
    for (const [index, bound] of bounds.entries()) {
      below += counts[index] ?? 0;
      this.sample(`${name}_bucket`, below, { le: String(bound) });
    }
    this.sample(`${name}_bucket`, count, { le: "+Inf" });
    this.sample(`${name}_sum`, sum);
    this.sample(`${name}_count`, count);
  }

  get text(): string {
    return this.#text;
  }
}

/** The figures in the text format of Prometheus. */
export function renderMetrics(source: MetricsSource): string {
  const page = new Page();
  writeMetrics(page, source);
  return page.text;
}
