import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { type Kysely, Migrator, type Transaction } from "kysely";
import { ApiError } from "../errors.ts";
import { loadKeyFile, SecretBox } from "../secrets.ts";
import { openEmbedded } from "./embedded.ts";
import { migrations } from "./migrations.ts";
import { openPostgres } from "./postgres.ts";
import { joinEmbedded, type Presence, SharedPresence } from "./presence.ts";
import type { Tables } from "./tables.ts";
import { Writes } from "./writes.ts";

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
  readonly #writes: Writes;
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
    this.#writes = new Writes(db);
    this.db = db;
    this.engine = engine;
    this.directory = directory;
    this.secrets = secrets;
  }

  /** All or nothing, and one after the other, also among several processes on one PostgreSQL. */
  async write<T>(run: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return await this.#writes.do(run);
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

async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
