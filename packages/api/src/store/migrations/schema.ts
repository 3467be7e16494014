import type { ColumnDataType, Kysely } from "kysely";

// biome-ignore lint/suspicious/noExplicitAny: a migration sees the schema of its own time, which has no type.
export type AnyDatabase = Kysely<any>;

type Column = "id" | "text" | "text?" | "int" | "int?" | "number?";

const dataTypes: Record<Column, ColumnDataType> = {
  id: "text",
  text: "text",
  "text?": "text",
  int: "integer",
  "int?": "integer",
  // Bytes may pass 2^31, and PostgreSQL's bigint comes back as text.
  "number?": "double precision",
};

export async function createTable(
  db: AnyDatabase,
  name: string,
  columns: Readonly<Record<string, Column>>,
): Promise<void> {
  let table = db.schema.createTable(name);
  for (const [column, kind] of Object.entries(columns))
    table = table.addColumn(column, dataTypes[kind], (definition) =>
      kind === "id"
        ? definition.primaryKey()
        : kind.endsWith("?")
          ? definition
          : definition.notNull(),
    );
  await table.execute();
}

export async function index(
  db: AnyDatabase,
  table: string,
  columns: readonly string[],
  unique = false,
): Promise<void> {
  const builder = db.schema
    .createIndex(`${table}_${columns.join("_")}_idx`)
    .on(table)
    .columns(columns as string[]);
  await (unique ? builder.unique() : builder).execute();
}

/** Of most tables. */
export const stamps = { created_at: "text", updated_at: "text" } as const;

export function isPostgres(db: AnyDatabase): boolean {
  return db.getExecutor().adapter.constructor.name === "PostgresAdapter";
}
