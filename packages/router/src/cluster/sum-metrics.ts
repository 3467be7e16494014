/** Names of which the largest value counts, not the sum. */
const LARGEST = /^router_(?:table_|certificate_)/;

/** Adds up several pages of Prometheus text, series by series. */
export function sumMetrics(pages: readonly string[]): string {
  const types = new Map<string, string>();
  const order: string[] = [];
  const values = new Map<string, number>();
  for (const page of pages)
    for (const line of page.split("\n")) {
      if (line === "") continue;
      if (line.startsWith("#")) {
        types.set(line.split(" ")[2] as string, line);
        continue;
      }
      const space = line.lastIndexOf(" ");
      const series = line.slice(0, space);
      const value = Number(line.slice(space + 1));
      const before = values.get(series);
      if (before === undefined) order.push(series);
      values.set(
        series,
        before === undefined
          ? value
          : LARGEST.test(series)
            ? Math.max(before, value)
            : before + value,
      );
    }
  const groups = new Map<string, string[]>();
  for (const series of order) {
    const name = series.split("{", 1)[0] as string;
    const base = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    const lines = groups.get(base) ?? [types.get(base) ?? `# TYPE ${base} untyped`];
    lines.push(`${series} ${values.get(series)}`);
    groups.set(base, lines);
  }
  return `${[...groups.values()].flat().join("\n")}\n`;
}
