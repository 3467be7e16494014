import { sql } from "kysely";
import { visibleAppIds } from "../auth/apps.ts";
import type { Identity } from "../auth/authenticate.ts";
import { allows, visibleApps } from "../auth/scopes.ts";
import type { Queries } from "../store/store.ts";
import type { StoredEvent } from "./hub.ts";

/** Which events are asked for. */
export interface EventQuery {
  /** Events after this sequence number. */
  readonly after: number;
  /** Id of the one app whose events are asked for, checked to be visible. */
  readonly app: string | undefined;
  /** Names of resources; absent: all. */
  readonly resources: readonly string[] | undefined;
}

/** Some events in order, and up to where there are no others. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  readonly position: number;
}

/** Events of one answer. */
export const eventPageSize = 200;
const appsAtOnce = 100;

/**
 * The next events that an account may see: those of its apps, and what it did itself; an
 * administrator sees all. What others have is not read, however much of it there is: only the next
 * page of all events is, and when that is not all that is left, the next page of each own app.
 */
export async function readEventPage(
  queries: Queries,
  identity: Identity,
  query: EventQuery,
): Promise<EventPage> {
  const { account, grant } = identity;
  // Writes are one after the other, so nothing up to here is added later.
  const last = await lastSequence(queries);
  if (last <= query.after) return { events: [], position: query.after };
  const all = account.admin === 1 && allows(grant, "read");
  const page = await nextOf(queries, query, last, eventPageSize + (all ? 0 : 1));
  if (all || query.app !== undefined) return closed(page, last);
  if (page.length <= eventPageSize) {
    const visible = await visibleOf(queries, identity, appsIn(page));
    const own = ownEvents(identity);
    return {
      events: page.filter((event) => own(event) || visible.has(event.app_id ?? "")),
      position: last,
    };
  }
  return closed(await nextOfApps(queries, identity, query, last), last);
}

export async function lastSequence(queries: Queries): Promise<number> {
  const row = await queries
    .selectFrom("events")
    .select((expression) => expression.fn.max("sequence").as("last"))
    .executeTakeFirst();
  return Number(row?.last ?? 0);
}

function closed(events: readonly StoredEvent[], last: number): EventPage {
  const page = events.slice(0, eventPageSize);
  return { events: page, position: page.length < eventPageSize ? last : page.at(-1)!.sequence };
}

async function nextOf(
  queries: Queries,
  { after, app, resources }: EventQuery,
  last: number,
  limit: number,
): Promise<StoredEvent[]> {
  let query = queries
    .selectFrom("events")
    .selectAll()
    .where("sequence", ">", after)
    .where("sequence", "<=", last)
    .orderBy("sequence")
    .limit(limit);
  if (app !== undefined) query = query.where("app_id", "=", app);
  if (resources) query = query.where("resource", "in", [...resources]);
  return await query.execute();
}

/** Whether an account may see an event for having done it itself, with a token that is not confined. */
function ownEvents({ account, grant }: Identity): (event: StoredEvent) => boolean {
  const unconfined = visibleApps(grant) === undefined && allows(grant, "read");
  return (event) => unconfined && event.actor_id === account.id;
}

const appsIn = (page: readonly StoredEvent[]) => [
  ...new Set(page.flatMap(({ app_id: app }) => app ?? [])),
];

/** Ids of the apps an account may see, of all or of those named. */
async function visibleOf(
  queries: Queries,
  identity: Identity,
  named?: readonly string[],
): Promise<Set<string>> {
  if (named?.length === 0) return new Set();
  let query = visibleAppIds(queries, identity);
  if (named) query = query.where("apps.id", "in", named);
  return new Set((await query.execute()).map(({ id }) => id));
}

async function nextOfApps(
  queries: Queries,
  identity: Identity,
  { after, resources }: EventQuery,
  last: number,
): Promise<StoredEvent[]> {
  const apps = [...(await visibleOf(queries, identity))];
  const found = new Map<number, StoredEvent>();
  const named = resources ? sql` and resource in (${sql.join(resources)})` : sql``;
  /** The next events of each of some apps, or of an actor, each by its own index. */
  const collect = async (column: "app_id" | "actor_id", keys: readonly string[]) => {
    const branches = keys.map(
      (key) =>
        sql`select * from (select * from events where ${sql.ref(column)} = ${key} and sequence > ${after} and sequence <= ${last}${named} order by sequence limit ${eventPageSize}) as branch`,
    );
    const { rows } =
      await sql<StoredEvent>`select * from (${sql.join(branches, sql` union all `)}) as merged order by sequence limit ${eventPageSize}`.execute(
        queries,
      );
    for (const row of rows) found.set(row.sequence, row);
  };
  for (let start = 0; start < apps.length; start += appsAtOnce)
    await collect("app_id", apps.slice(start, start + appsAtOnce));
  if (visibleApps(identity.grant) === undefined && allows(identity.grant, "read"))
    await collect("actor_id", [identity.account.id]);
  return [...found.values()].sort((a, b) => a.sequence - b.sequence);
}
