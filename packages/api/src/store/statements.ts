import type { SqliteDatabase, SqliteStatement } from "kysely";

const maxKept = 300;

/**
 * Keeps statements that were compiled, the latest used first to stay: compiling costs more than
 * most queries of the API. SQLite compiles a kept statement anew by itself when the schema changed.
 */
export function keepStatements(database: SqliteDatabase): SqliteDatabase {
  const kept = new Map<string, SqliteStatement>();
  return {
    close: () => {
      kept.clear();
      database.close();
    },
    prepare: (text) => {
      const known = kept.get(text);
      if (known) {
        kept.delete(text);
        kept.set(text, known);
        return known;
      }
      const made = database.prepare(text);
      // Lists of values make a text for each length, and schema changes come once.
      if (!/^\s*(select|insert|update|delete|begin|commit|rollback)\b/i.test(text)) return made;
      kept.set(text, made);
      if (kept.size > maxKept)
        for (const oldest of kept.keys()) {
          kept.delete(oldest);
          break;
        }
      return made;
    },
  };
}
