import type { Compilable, CompiledQuery, DialectAdapter, Insertable } from "kysely";
import type { Queries } from "./store.ts";
import type { Tables } from "./tables.ts";

/** Stands for a parameter while the query is compiled. */
class Slot {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

type Parameters = Readonly<Record<string, string | number | null>>;

interface SingleQuery extends CompiledQuery {
  readonly single: boolean;
}

/** Whether only the first row of a query is wanted. */
export function isSingle(query: CompiledQuery): boolean {
  return (query as Partial<SingleQuery>).single === true;
}

/** A query that is built and compiled once for an engine; building costs more than asking. */
export interface Prepared<P extends Parameters, R> {
  all(queries: Queries, parameters: P): Promise<R[]>;
  first(queries: Queries, parameters: P): Promise<R | undefined>;
}

/**
 * Prepares a query. `build` is called once and must use each parameter as a value, without
 * looking at it.
 */
export function prepare<P extends Parameters, R>(
  build: (queries: Queries, parameters: P) => Compilable<R>,
): Prepared<P, R> {
  const made = new WeakMap<DialectAdapter, CompiledQuery<R>>();
  const compiled = (queries: Queries): CompiledQuery<R> => {
    const { adapter } = queries.getExecutor();
    let query = made.get(adapter);
    if (!query) {
      const slots = new Proxy({} as P, { get: (_, name) => new Slot(String(name)) });
      query = build(queries, slots).compile();
      made.set(adapter, query);
    }
    return query;
  };
  const ask = async (queries: Queries, given: P, single: boolean): Promise<R[]> => {
    const query = compiled(queries);
    const parameters = query.parameters.map((value) =>
      value instanceof Slot ? given[value.name] : value,
    );
    const filled: SingleQuery = { ...query, parameters, single };
    return (await queries.executeQuery(filled as CompiledQuery<R>)).rows;
  };
  return {
    all: async (queries, parameters) => await ask(queries, parameters, false),
    first: async (queries, parameters) => (await ask(queries, parameters, true))[0],
  };
}

/** Prepares the adding of one row with those columns. */
export function prepareInsert<T extends keyof Tables & string, C extends keyof Row<T> & string>(
  table: T,
  columns: readonly C[],
): (queries: Queries, row: Pick<Row<T>, C>) => Promise<void> {
  const insert = prepare((queries, slots: Parameters) =>
    queries
      .insertInto(table)
      .values(Object.fromEntries(columns.map((name) => [name, slots[name]])) as never),
  );
  return async (queries, row) => {
    await insert.all(queries, row as Parameters);
  };
}

type Row<T extends keyof Tables> = Insertable<Tables[T]>;
