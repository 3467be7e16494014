import { sql } from "kysely";
import type { Store } from "../../src/index.ts";
import { tableNames } from "../../src/store/tables.ts";

// Notes that are written whether or not a request changed anything: the last use of a token, keys
// of idempotent requests, and what became of deliveries, which are tried behind all requests.
const ignored: Readonly<Record<string, string>> = {
  authorizations: "last_used_at",
  webhooks: "failing_since",
};
const left = tableNames.filter((name) => name !== "idempotency" && name !== "deliveries");

/** Everything a store holds, as text that is equal when the state is. */
export async function dump(store: Store): Promise<string> {
  if (store.engine === "postgres") {
    const parts = left.map(
      (name) =>
        sql`select ${sql.lit(name)} as name, (select string_agg(md5(to_jsonb(t)::text), ',' order by md5(to_jsonb(t)::text)) from (select to_jsonb(r) - ${sql.lit(ignored[name] ?? "")} as row from ${sql.table(name)} r) t) as rows`,
    );
    const { rows } = await sql`${sql.join(parts, sql` union all `)}`.execute(store.db);
    return JSON.stringify(rows);
  }
  const lines: string[] = [];
  for (const name of left) {
    const rows = await store.db.selectFrom(name).selectAll().execute();
    for (const row of rows) {
      const kept = Object.entries(row).filter(([column]) => column !== ignored[name]);
      lines.push(`${name} ${JSON.stringify(kept)}`);
    }
  }
  return lines.sort((a, b) => (a < b ? -1 : 1)).join("\n");
}
