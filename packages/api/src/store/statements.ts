import type Database from "libsql";

const maxKept = 300;

type Row = Record<string, unknown>;

/** A compiled statement, whose rows come as values and get their names here: in half the time. */
export class KeptStatement {
  readonly #statement: Database.Statement;
  readonly #single: boolean;
  readonly reader: boolean;
  #names: readonly string[] = [];

  constructor(statement: Database.Statement, single: boolean) {
    this.#statement = statement;
    this.#single = single;
    this.reader = statement.reader;
    if (this.reader) statement.raw();
  }

  /** All rows, or the first alone. */
  rows(parameters: readonly unknown[]): Row[] {
    if (!this.#single) {
      const rows = this.#statement.all(parameters) as unknown[][];
      return rows.map((values) => this.#named(values));
    }
    const values = this.#statement.get(parameters) as unknown[] | undefined;
    return values === undefined ? [] : [this.#named(values)];
  }

  #named(values: readonly unknown[]): Row {
    // SQLite compiles a statement anew by itself when the schema changed.
    if (this.#names.length !== values.length)
      this.#names = this.#statement.columns().map(({ name }) => name);
    const row: Row = {};
    for (let index = 0; index < values.length; index++)
      row[this.#names[index] as string] = values[index];
    return row;
  }

  run(parameters: readonly unknown[]): Database.RunResult {
    return this.#statement.run(parameters);
  }
}

/**
 * Keeps statements that were compiled, the latest used first to stay: compiling costs more than
 * most queries of the API.
 */
export class KeptStatements {
  readonly #database: InstanceType<typeof Database>;
  readonly #kept = new Map<string, KeptStatement>();

  constructor(database: InstanceType<typeof Database>) {
    this.#database = database;
  }

  /** `single`: only its first row is wanted. */
  of(text: string, single: boolean): KeptStatement {
    // One that gave all rows would bind no new values when it is then asked for one.
    const key = `${single ? "first" : "all"} ${text}`;
    const known = this.#kept.get(key);
    if (known) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const made = new KeptStatement(this.#database.prepare(text), single);
    // Lists of values make a text for each length, and schema changes come once.
    if (!/^\s*(select|insert|update|delete|begin|commit|rollback|savepoint|release)\b/i.test(text))
      return made;
    this.#kept.set(key, made);
    if (this.#kept.size > maxKept)
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
      }
    return made;
  }

  clear(): void {
    this.#kept.clear();
  }
}
