import type { Platform } from "../platform/platform.ts";

/** Counts of the API itself; labels come from fixed sets. */
export class Counters {
  readonly #requests = new Map<string, number>();
  #seconds = 0;
  #count = 0;

  observe(method: string, status: number, ms: number): void {
    const known = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method) ? method : "other";
    const key = `method="${known}",status="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    this.#seconds += ms / 1000;
    this.#count++;
  }

  lines(): string[] {
    return [
      "# TYPE dynokit_api_requests_total counter",
      ...[...this.#requests].map(([key, value]) => `dynokit_api_requests_total{${key}} ${value}`),
      "# TYPE dynokit_api_request_seconds summary",
      `dynokit_api_request_seconds_sum ${this.#seconds}`,
      `dynokit_api_request_seconds_count ${this.#count}`,
    ];
  }
}

/** The state of the platform in Prometheus' text format. */
export async function prometheusText(
  platform: Platform,
  counters: Counters,
  transitions: ReadonlyMap<string, number>,
): Promise<string> {
  const count = async (table: "apps" | "accounts" | "releases") =>
    Number(
      (
        await platform.db
          .selectFrom(table)
          .select((expression) => expression.fn.countAll().as("count"))
          .executeTakeFirstOrThrow()
      ).count,
    );
  const grouped = async (table: "builds" | "releases" | "deliveries") =>
    await platform.db
      .selectFrom(table)
      .select((expression) => ["status", expression.fn.countAll().as("count")])
      .groupBy("status")
      .execute();
  const states = new Map<string, number>();
  for (const { state } of platform.manifold.ps()) states.set(state, (states.get(state) ?? 0) + 1);
  const section = (name: string, rows: Iterable<readonly [string, number]>, type = "gauge") => [
    `# TYPE ${name} ${type}`,
    ...[...rows].map(([label, value]) => `${name}${label} ${value}`),
  ];
  const byStatus = async (table: "builds" | "releases" | "deliveries") =>
    (await grouped(table)).map(
      ({ status, count: amount }) => [`{status="${status}"}`, Number(amount)] as const,
    );
  return [
    ...counters.lines(),
    ...section("dynokit_apps", [["", await count("apps")]]),
    ...section("dynokit_accounts", [["", await count("accounts")]]),
    ...section("dynokit_releases", await byStatus("releases")),
    ...section("dynokit_builds", await byStatus("builds")),
    ...section("dynokit_webhook_deliveries", await byStatus("deliveries")),
    ...section(
      "dynokit_dynos",
      [...states].map(([state, value]) => [`{state="${state}"}`, value] as const),
    ),
    ...section(
      "dynokit_dyno_transitions_total",
      [...transitions].map(([state, value]) => [`{to="${state}"}`, value] as const),
      "counter",
    ),
    "",
  ].join("\n");
}
