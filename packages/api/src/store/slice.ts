import { type SelectQueryBuilder, sql } from "kysely";
import type { RangeRequest } from "../http/range.ts";
import type { Store } from "./store.ts";
import type { Tables } from "./tables.ts";

/** A field of a list that a column of the same name orders, and how its values compare. */
export type SliceFields = Readonly<Record<string, "text" | "integer">>;

/**
 * Leaves of a query the rows that a page of the range can need: one more than the page holds, so
 * that `pageOf` sees whether others follow. It still decides all the rest, so a bound it will
 * refuse narrows nothing here. Text is compared by its bytes, as there, whatever the collation of
 * the database; the values have to be ASCII and unique in the list.
 */
export function sliceOf<TB extends keyof Tables, O>(
  query: SelectQueryBuilder<Tables, TB, O>,
  engine: Store["engine"],
  range: RangeRequest,
  table: TB & string,
  fields: SliceFields,
): SelectQueryBuilder<Tables, TB, O> {
  const { field, from, to, max, descending } = range;
  const column = sql.ref(`${table}.${field}`);
  const integer = fields[field] === "integer";
  // SQLite compares bytes anyway.
  const value = integer || engine === "libsql" ? column : sql`${column} collate "C"`;
  const readable = !integer || [from, to].every((edge) => !edge || /^-?\d+$/.test(edge.value));
  let sliced = query;
  if (readable && from)
    sliced = sliced.where(
      sql<boolean>`${value} ${sql.raw(from.exclusive ? ">" : ">=")} ${bound(from.value, integer)}`,
    );
  if (readable && to)
    sliced = sliced.where(
      sql<boolean>`${value} ${sql.raw(to.exclusive ? "<" : "<=")} ${bound(to.value, integer)}`,
    );
  return sliced.orderBy(value, descending ? "desc" : "asc").limit(max + 1);
}

/** Columns of numbers hold 32 bits: what is beyond 53 is beyond all of them, and fits a bigint. */
function bound(text: string, integer: boolean) {
  if (!integer) return sql`${text}`;
  const limit = Number.MAX_SAFE_INTEGER;
  return sql`cast(${Math.min(Math.max(Number(text), -limit), limit)} as bigint)`;
}
