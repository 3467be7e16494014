import { type Command, Option } from "commander";
import { appOf, type CommandContext, clientOf, withApp, withJson } from "../context.ts";
import { sparkline } from "../output/sparkline.ts";

type Column = readonly (number | null)[];

interface Metrics {
  readonly step_seconds: number;
  readonly router: {
    readonly time: readonly number[];
    readonly requests: readonly number[];
    readonly p50_ms: Column;
    readonly p95_ms: Column;
    readonly p99_ms: Column;
    readonly status: Readonly<Record<string, readonly number[]>>;
    readonly codes: Readonly<Record<string, number>>;
  };
  readonly dyno_states: Readonly<Record<string, number>>;
  readonly dynos?: Readonly<Record<string, { readonly memory_mb?: Column; readonly cpu?: Column }>>;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const latest = (values: Column) => values.findLast((value) => value !== null) ?? null;
const greatest = (values: Column) => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
};

/** The numbers of an app as lines, each with its course over the window. */
export function describeMetrics(metrics: Metrics): string[] {
  const { router, step_seconds: step, dyno_states: states } = metrics;
  const minutes = Math.round((router.time.length * step) / 60);
  const total = sum(router.requests);
  const row = (label: string, values: Column, said: string) =>
    `${(label && `${label}:`).padEnd(10)} ${sparkline(values)}  ${said}`;
  const time = (value: number | null) => (value === null ? "-" : `${Math.round(value)} ms`);
  const lines = [
    row("requests", router.requests, `${total} in ${minutes} minutes`),
    ...(["p50", "p95", "p99"] as const).map((name) => {
      const values = router[`${name}_ms`];
      return row(name, values, `last ${time(latest(values))}, most ${time(greatest(values))}`);
    }),
  ];
  for (const [name, values] of Object.entries(router.status))
    lines.push(row(name, values, `${sum(values)}`));
  const codes = Object.entries(router.codes);
  lines.push(
    `errors:    ${codes.map(([code, count]) => `${code} ${count}`).join(", ") || "none"}`,
    `dynos:     ${
      Object.entries(states)
        .map(([state, count]) => `${count} ${state}`)
        .join(", ") || "none"
    }`,
  );
  for (const [dyno, { memory_mb: memory = [], cpu = [] }] of Object.entries(metrics.dynos ?? {})) {
    const [bytes, share] = [latest(memory), latest(cpu)];
    if (bytes !== null) lines.push(row(dyno, memory, `${Math.round(bytes)} MB of memory`));
    if (share !== null) lines.push(row("", cpu, `${Math.round(share)} % of a core`));
  }
  return lines;
}

/** `metrics`: traffic, times and errors of an app. */
export function registerMetrics(program: Command, context: CommandContext): void {
  const { terminal } = context;
  withJson(
    withApp(
      program
        .command("metrics")
        .alias("apps:errors")
        .description("show requests, response times, errors and dynos")
        .addOption(new Option("--span <span>", "what to look back on").choices(["30m", "24h"])),
    ),
  ).action(async (_, command: Command) => {
    const options = command.optsWithGlobals();
    const app = appOf(context, options);
    const query = options["span"] === undefined ? "" : `?span=${options["span"]}`;
    const path = `/apps/${app}/metrics${query}`;
    const metrics = await clientOf(context, options).get<Metrics>(path);
    if (options["json"]) return terminal.out(JSON.stringify(metrics, null, 2));
    for (const line of describeMetrics(metrics)) terminal.out(line);
    return undefined;
  });
}
