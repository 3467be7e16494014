import { join } from "node:path";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import Database from "libsql";
import { ApiError } from "../errors.ts";
import { isSingle } from "./prepare.ts";
import { KeptStatements } from "./statements.ts";
import type { Tables } from "./tables.ts";
import { Turns } from "./turns.ts";

type Engine = InstanceType<typeof Database>;

/**
 * Opens the database file of a directory.
 *
 * @throws ApiError `unavailable` for a file that can't be read
 */
export function openEmbedded(directory: string): Kysely<Tables> {
  const file = join(directory, "dynokit.db");
  const opened: Engine[] = [];
  const open = () => {
    const database = new Database(file);
    opened.push(database);
    database.pragma("busy_timeout = 5000");
    return database;
  };
  try {
    const writer = open();
    writer.pragma("journal_mode = WAL");
    writer.pragma("synchronous = FULL");
    const found = writer.prepare("pragma quick_check(1)").all() as Record<string, unknown>[];
    const verdict = Object.values(found[0] ?? {})[0];
    if (verdict !== "ok") throw new Error(String(verdict));
    const reader = open();
    reader.pragma("query_only = 1");
    return new Kysely<Tables>({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => new EmbeddedDriver(writer, reader),
        createIntrospector: (db) => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    });
  } catch (cause) {
    for (const database of opened) database.close();
    throw new ApiError(
      "unavailable",
      `The database file ${file} can't be read (${cause instanceof Error ? cause.message : String(cause)}). It was left as it is: put a backup in its place.`,
      { cause },
    );
  }
}

/**
 * One session that writes, taken in turns, and one that reads what was committed, which waits for
 * nobody. What is not part of a transaction goes to the one that it needs.
 */
class EmbeddedDriver implements Driver {
  readonly #writer: Session;
  readonly #reader: Session;
  readonly #turns = new Turns();

  constructor(writer: Engine, reader: Engine) {
    this.#writer = new Session(writer);
    this.#reader = new Session(reader);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<EmbeddedConnection> {
    return new EmbeddedConnection(this.#writer, this.#reader, this.#turns);
  }

  async beginTransaction(connection: EmbeddedConnection): Promise<void> {
    await connection.hold();
    await connection.executeQuery(CompiledQuery.raw("begin"));
  }

  async commitTransaction(connection: EmbeddedConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection: EmbeddedConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  async releaseConnection(connection: EmbeddedConnection): Promise<void> {
    connection.release();
  }

  async destroy(): Promise<void> {
    // Whoever has its turn is let go to the end.
    await this.#turns.enter();
    this.#reader.close();
    this.#writer.settle();
    this.#writer.close();
    this.#turns.leave();
  }
}

class EmbeddedConnection implements DatabaseConnection {
  readonly #writer: Session;
  readonly #reader: Session;
  readonly #turns: Turns;
  #held = false;

  constructor(writer: Session, reader: Session, turns: Turns) {
    this.#writer = writer;
    this.#reader = reader;
    this.#turns = turns;
  }

  /** Keeps the writing session until it is released. */
  async hold(): Promise<void> {
    await this.#turns.enter();
    this.#held = true;
  }

  release(): void {
    if (this.#held) this.#turns.leave();
    this.#held = false;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#held) return this.#writer.run<R>(query);
    if (query.query.kind === "SelectQueryNode") return this.#reader.run<R>(query);
    await this.#turns.enter();
    try {
      return this.#writer.run<R>(query);
    } finally {
      this.#turns.leave();
    }
  }

  // biome-ignore lint/correctness/useYield: nothing here reads in a stream.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new ApiError("internal", "The embedded store does not stream.");
  }
}

class Session {
  readonly #database: Engine;
  readonly #statements: KeptStatements;

  constructor(database: Engine) {
    this.#database = database;
    this.#statements = new KeptStatements(database);
  }

  run<R>(query: CompiledQuery): QueryResult<R> {
    const statement = this.#statements.of(query.sql, isSingle(query));
    if (statement.reader) return { rows: statement.rows(query.parameters) as R[] };
    const { changes, lastInsertRowid } = statement.run(query.parameters);
    return {
      rows: [],
      numAffectedRows: BigInt(changes),
      insertId: BigInt(lastInsertRowid),
    };
  }

  /** Brings all of the log into the file, so that a copy of the file is whole; without waiting for others. */
  settle(): void {
    this.#statements.clear();
    try {
      this.#database.pragma("busy_timeout = 0");
      this.#database.pragma("wal_checkpoint(TRUNCATE)");
    } catch {
      // A full disk, for one: what stays in the log is as safe there.
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}
