import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  Kysely,
  Migrator,
  PostgresDialect,
  type PostgresPool,
  SqliteDialect,
  sql,
  type Transaction,
} from "kysely";
import Database from "libsql";
import { ApiError } from "../errors.ts";
import { loadKeyFile, SecretBox } from "../secrets.ts";
import { migrations } from "./migrations.ts";
import { joinEmbedded, type Presence, SharedPresence } from "./presence.ts";
import { keepStatements } from "./statements.ts";
import type { Tables } from "./tables.ts";

/** A query runs on the store itself or inside one of its transactions. */
export type Queries = Kysely<Tables> | Transaction<Tables>;

/** Options of {@link openStore}. */
export interface OpenStoreOptions {
  /**
   * Where uploads, output of builds and the key file live. Default: the directory of an embedded
   * store; `./data` for PostgreSQL.
   */
  readonly directory?: string;
  /** 32 bytes that seal config vars and keys. Default: `secret.key` in the directory, made on first use. */
  readonly encryptionKey?: Uint8Array;
  /** Connections to PostgreSQL; default 10. */
  readonly maxConnections?: number;
}

// Any number that no other program of the same database uses.
const writeLock = 0x64796e6f;

/**
 * Business state behind one interface, on an embedded database or on PostgreSQL, with one set of
 * migrations. Made by {@link openStore}.
 */
export class Store {
  readonly db: Kysely<Tables>;
  /** `libsql` or `postgres`. */
  readonly engine: "libsql" | "postgres";
  /** For files that belong to the state. */
  readonly directory: string;
  readonly secrets: SecretBox;
  readonly #url: string | undefined;
  #presence: Promise<Presence> | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    db: Kysely<Tables>,
    engine: "libsql" | "postgres",
    directory: string,
    secrets: SecretBox,
    url?: string,
  ) {
    this.#url = url;
    this.db = db;
    this.engine = engine;
    this.directory = directory;
    this.secrets = secrets;
  }

  /** All or nothing, and one after the other, also among several processes on one PostgreSQL. */
  async write<T>(run: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return await this.db.transaction().execute(async (tx) => {
      if (this.engine === "postgres")
        await sql`select pg_advisory_xact_lock(${writeLock})`.execute(tx);
      return await run(tx);
    });
  }

  /**
   * Takes this process's place among those that work on the store; an embedded one has room for
   * one, PostgreSQL for any number. Reading and backing up need no place.
   *
   * @throws ApiError `unavailable` when another process has the embedded store.
   */
  async join(): Promise<Presence> {
    const url = this.#url;
    this.#presence ??=
      url === undefined
        ? Promise.resolve().then(() => joinEmbedded(this.directory))
        : SharedPresence.join(async () => {
            const { default: pg } = await import("pg");
            const client = new pg.Client({ connectionString: url });
            await client.connect();
            return client;
          });
    return await this.#presence;
  }

  /** Waits for queries that run and gives up the place. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    // A place that could not be had needs no giving up.
    await (await this.#presence?.catch(() => undefined))?.close();
    await this.db.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens the embedded store in a directory, or PostgreSQL for a URL `postgres://…`, and brings its
 * schema up to date.
 *
 * @throws ApiError `unavailable` when the database can't be opened or is newer than this package.
 * @example
 * const store = await openStore("./data");
 */
export async function openStore(location: string, options: OpenStoreOptions = {}): Promise<Store> {
  const postgres = /^postgres(ql)?:\/\//.test(location);
  if (location === "")
    throw new ApiError("bad-request", "openStore needs a directory or a postgres:// URL.");
  const directory = resolve(options.directory ?? (postgres ? "data" : location));
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const secrets = new SecretBox(options.encryptionKey ?? loadKeyFile(directory));
  const db = postgres
    ? await openPostgres(location, options.maxConnections ?? 10)
    : openEmbedded(directory);
  try {
    await migrate(db);
  } catch (cause) {
    await db.destroy();
    throw new ApiError(
      "unavailable",
      `The store can't be brought up to date: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  return new Store(
    db,
    postgres ? "postgres" : "libsql",
    directory,
    secrets,
    postgres ? location : undefined,
  );
}

function openEmbedded(directory: string): Kysely<Tables> {
  const file = join(directory, "dynokit.db");
  let database: InstanceType<typeof Database> | undefined;
  try {
    database = new Database(file);
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("busy_timeout = 5000");
    const found = database.prepare("pragma quick_check(1)").all() as Record<string, unknown>[];
    const verdict = Object.values(found[0] ?? {})[0];
    if (verdict !== "ok") throw new Error(String(verdict));
  } catch (cause) {
    database?.close();
    throw new ApiError(
      "unavailable",
      `The database file ${file} can't be read (${cause instanceof Error ? cause.message : String(cause)}). It was left as it is: put a backup in its place.`,
      { cause },
    );
  }
  return new Kysely<Tables>({
    dialect: new SqliteDialect({ database: keepStatements(database as never) }),
  });
}

async function openPostgres(url: string, max: number): Promise<Kysely<Tables>> {
  const { default: pg } = await import("pg").catch((cause: unknown) => {
    throw new ApiError("unavailable", 'PostgreSQL needs the package "pg": npm install pg', {
      cause,
    });
  });
  const pool = new pg.Pool({ connectionString: url, max });
  // An idle connection that breaks is replaced; without a listener it would end the process.
  pool.on("error", () => {});
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: pool as unknown as PostgresPool }),
  });
}

async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
