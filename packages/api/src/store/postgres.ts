import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  type PostgresPool,
  type PostgresPoolClient,
  type TransactionSettings,
} from "kysely";
import type { Pool, PoolClient, QueryResult } from "pg";
import { ApiError } from "../errors.ts";
import type { Tables } from "./tables.ts";

// Any number that no other program of the same database uses.
const writeLock = 0x64796e6f;

/** PostgreSQL's code for a plan whose table has changed. */
const changedPlan = "0A000";

/** Statements that a session of the database keeps compiled. */
const maxNamed = 500;

/** Opens a pool of sessions. @throws ApiError `unavailable` without the package `pg` */
export async function openPostgres(url: string, max: number): Promise<Kysely<Tables>> {
  const { default: pg } = await import("pg").catch((cause: unknown) => {
    throw new ApiError("unavailable", 'PostgreSQL needs the package "pg": npm install pg', {
      cause,
    });
  });
  const pool = new pg.Pool({ connectionString: url, max });
  // An idle connection that breaks is replaced; without a listener it would end the process.
  pool.on("error", () => {});
  return new Kysely<Tables>({ dialect: new SharedDialect({ pool: new NamingPool(pool) }) });
}

class SharedDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig;

  constructor(config: PostgresDialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): PostgresDriver {
    return new SharedDriver(this.#config);
  }
}

/** Transactions come one after the other, also those of several processes. */
class SharedDriver extends PostgresDriver {
  override async beginTransaction(
    connection: DatabaseConnection,
    settings: TransactionSettings,
  ): Promise<void> {
    if (settings.accessMode === "read only") {
      await super.beginTransaction(connection, settings);
      return;
    }
    // Both in one round trip.
    const begin = CompiledQuery.raw(`begin; select pg_advisory_xact_lock(${writeLock})`);
    await connection.executeQuery(begin);
  }
}

/** Gives statements names, so that each session parses and plans them once. */
class NamingPool implements PostgresPool {
  readonly #pool: Pool;
  readonly #clients = new WeakMap<PoolClient, NamingClient>();
  readonly #names = new Map<string, string>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async connect(): Promise<PostgresPoolClient> {
    const client = await this.#pool.connect();
    let naming = this.#clients.get(client);
    if (!naming) {
      naming = new NamingClient(client, (text) => this.#nameOf(text));
      this.#clients.set(client, naming);
    }
    // Without the form of a cursor, for nothing here reads by one.
    return naming as unknown as PostgresPoolClient;
  }

  /** Lists of values make a text for each length, so there is an end to it. */
  #nameOf(text: string): string | undefined {
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size >= maxNamed) return known;
    const name = `dynokit-${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }
}

class NamingClient {
  readonly #client: PoolClient;
  readonly #nameOf: (text: string) => string | undefined;
  #stale = false;

  constructor(client: PoolClient, nameOf: (text: string) => string | undefined) {
    this.#client = client;
    this.#nameOf = nameOf;
  }

  async query(text: string, values: unknown[]): Promise<QueryResult> {
    // Without a parameter it is no more than a word, such as "commit".
    const name = values.length === 0 ? undefined : this.#nameOf(text);
    if (name === undefined) return await this.#client.query(text, values);
    try {
      return await this.#client.query({ name, text, values });
    } catch (error) {
      if ((error as { code?: unknown }).code !== changedPlan) throw error;
      // Another process, newer than this one, has changed a table: a new session has no old plans.
      this.#stale = true;
      throw new ApiError("unavailable", "The store was brought up to date. Send it again.", {
        cause: error,
      });
    }
  }

  release(discard = false): void {
    this.#client.release(discard || this.#stale);
  }
}
