import type { SelectQueryBuilder } from "kysely";
import { notFound } from "../errors.ts";
import { prepare } from "../store/prepare.ts";
import type { Queries } from "../store/store.ts";
import type { AccountRow, AppRow, Tables } from "../store/tables.ts";
import type { Identity } from "./authenticate.ts";
import { type Grant, visibleApps } from "./scopes.ts";

const byKey = prepare((queries, { key }: { readonly key: string }) =>
  queries
    .selectFrom("apps")
    .selectAll()
    .where((expression) =>
      expression.or([expression("id", "=", key), expression("name", "=", key)]),
    ),
);

const membership = prepare(
  (queries, { app, account }: { readonly app: string; readonly account: string }) =>
    queries
      .selectFrom("collaborators")
      .select("id")
      .where("app_id", "=", app)
      .where("account_id", "=", account),
);

/** The app of that id or name when the account may see it; others do not exist for it. */
export async function findApp(queries: Queries, account: AccountRow, key: string): Promise<AppRow> {
  const row = await byKey.first(queries, { key });
  if (!row) throw notFound("app");
  if (row.owner_id === account.id || account.admin === 1) return row;
  const member = await membership.first(queries, { app: row.id, account: account.id });
  if (!member) throw notFound("app");
  return row;
}

/** Narrows a query of apps, such as to one page. */
type AppSlice = (query: AppQuery) => AppQuery;
type AppQuery = SelectQueryBuilder<Tables, "apps", AppRow>;

/**
 * A page of the apps an account owns or collaborates on, not in order and perhaps with others; with
 * `all` an administrator gets every app. Its own and those of others are narrowed apart, since
 * neither engine finds the first of both together without reading all of them.
 */
export async function sliceApps(
  queries: Queries,
  account: AccountRow,
  grant: Grant,
  all: boolean,
  slice: AppSlice,
): Promise<AppRow[]> {
  const visible = visibleApps(grant);
  if (visible?.size === 0) return [];
  let apps: AppQuery = queries.selectFrom("apps").selectAll("apps");
  if (visible) apps = apps.where("apps.id", "in", [...visible]);
  if (all && account.admin === 1) return await slice(apps).execute();
  const own = slice(apps.where("apps.owner_id", "=", account.id));
  const shared = slice(
    apps
      .where("apps.owner_id", "!=", account.id)
      .where("apps.id", "in", (expression) =>
        expression
          .selectFrom("collaborators")
          .select("collaborators.app_id")
          .where("collaborators.account_id", "=", account.id),
      ),
  );
  return await queries
    .selectFrom(own.as("own"))
    .selectAll()
    .unionAll(queries.selectFrom(shared.as("shared")).selectAll())
    .execute();
}

/** Ids of the apps that an account owns or collaborates on and its token does not leave out. */
export function visibleAppIds(
  queries: Queries,
  { account, grant }: Pick<Identity, "account" | "grant">,
) {
  const query = queries
    .selectFrom("apps")
    .select("apps.id")
    .where((expression) =>
      expression.or([
        expression("apps.owner_id", "=", account.id),
        expression(
          "apps.id",
          "in",
          expression
            .selectFrom("collaborators")
            .select("collaborators.app_id")
            .where("collaborators.account_id", "=", account.id),
        ),
      ]),
    );
  const visible = visibleApps(grant);
  // The id of no app keeps the list of a token that sees none from being empty.
  return visible ? query.where("apps.id", "in", [...visible, ""]) : query;
}

const namesAtOnce = 400;

/** Those of some apps, by id and by name, that an account may see, in the order of their names. */
export async function namedApps(
  queries: Queries,
  identity: Pick<Identity, "account" | "grant">,
  ids: readonly string[],
  names: readonly string[],
): Promise<AppRow[]> {
  const { account, grant } = identity;
  const visible = visibleApps(grant);
  const found = new Map<string, AppRow>();
  const take = async (column: "id" | "name", keys: readonly string[]) => {
    for (let start = 0; start < keys.length; start += namesAtOnce) {
      let query = queries
        .selectFrom("apps")
        .selectAll("apps")
        .where(`apps.${column}`, "in", keys.slice(start, start + namesAtOnce));
      if (account.admin !== 1)
        query = query.where("apps.id", "in", visibleAppIds(queries, identity));
      for (const row of await query.execute())
        if (!visible || visible.has(row.id)) found.set(row.id, row);
    }
  };
  await take("id", ids);
  await take("name", names);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
