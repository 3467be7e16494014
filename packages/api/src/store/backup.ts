import { createWriteStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { sql } from "kysely";
import { ApiError } from "../errors.ts";
import { migrations } from "./migrations.ts";
import type { Store } from "./store.ts";
import { type Tables, tableNames } from "./tables.ts";

const format = "dynokit-store";
const probe = "backup:probe";
const batch = 200;

interface Header {
  readonly format: string;
  readonly schema: string;
  readonly engine: string;
  readonly at: string;
  readonly probe: string;
}

const newest = () => Object.keys(migrations).at(-1) ?? "";

/**
 * Every row of a store as lines of JSON, read as of one moment while the platform goes on. What is
 * sealed stays sealed: keep the key file with a backup, but not in the same place.
 */
async function* linesOf(store: Store): AsyncGenerator<string> {
  const header: Header = {
    format,
    schema: newest(),
    engine: store.engine,
    at: new Date().toISOString(),
    probe: store.secrets.seal(probe, probe),
  };
  yield `${JSON.stringify(header)}\n`;
  const { db } = store;
  const tx = await (store.engine === "postgres"
    ? db.startTransaction().setIsolationLevel("repeatable read").setAccessMode("read only")
    : db.startTransaction()
  ).execute();
  let rows = 0;
  try {
    for (const table of tableNames) {
      const key = keys[table] ?? "id";
      for (let offset = 0; ; offset += batch) {
        const page = await tx
          .selectFrom(table)
          .selectAll()
          .orderBy(sql.ref(key))
          .limit(batch)
          .offset(offset)
          .execute();
        for (const row of page) yield `${JSON.stringify({ table, row })}\n`;
        rows += page.length;
        if (page.length < batch) break;
      }
    }
  } finally {
    await tx.rollback().execute();
  }
  yield `${JSON.stringify({ end: rows })}\n`;
}

/** What orders a table that has no id. */
const keys: Readonly<Partial<Record<keyof Tables, string>>> = {
  events: "sequence",
  features: "created_at",
  router_settings: "app_id",
  stage_configs: "stage",
  idempotency: "created_at",
};

/** Writes a backup file, readable by its owner alone; it is there whole or not at all. */
export async function backUpStore(store: Store, file: string): Promise<void> {
  const part = `${file}.part`;
  try {
    await pipeline(Readable.from(linesOf(store)), createWriteStream(part, { mode: 0o600 }));
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

function refuse(file: string, why: string): ApiError {
  return new ApiError("bad-request", `${file} can't be restored: ${why} Nothing was changed.`);
}

function parse(file: string, line: string, number: number): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    throw refuse(file, `line ${number} is not JSON.`);
  }
}

function checkHeader(store: Store, file: string, header: Record<string, unknown>): void {
  if (header["format"] !== format) throw refuse(file, "it is not a backup of a store.");
  if (!Object.hasOwn(migrations, String(header["schema"])))
    throw refuse(file, "a newer version of this package wrote it; install that one.");
  try {
    store.secrets.open(String(header["probe"]), probe);
  } catch {
    throw refuse(
      file,
      "its secrets need another key. Put the secret.key it was made with in place.",
    );
  }
}

/**
 * Fills a store from a backup file, of either engine, in one transaction. The store must have no
 * apps; what else is in it is replaced.
 *
 * @throws ApiError `bad-request` when the file is cut off, not a backup, or needs another key.
 */
export async function restoreStore(store: Store, file: string): Promise<void> {
  const handle = await open(file).catch((cause: unknown) => {
    throw refuse(file, cause instanceof Error ? `${cause.message}.` : "it can't be opened.");
  });
  try {
    await fill(store, file, handle);
  } finally {
    await handle.close();
  }
}

async function fill(store: Store, file: string, handle: FileHandle): Promise<void> {
  await store.write(async (tx) => {
    const app = await tx.selectFrom("apps").select("name").executeTakeFirst();
    if (app)
      throw new ApiError(
        "conflict",
        `The store holds the app ${app.name}. Restore into an empty store.`,
      );
    for (const table of [...tableNames].reverse()) await tx.deleteFrom(table).execute();
    let number = 0;
    let rows = 0;
    let ended: unknown;
    for await (const line of handle.readLines({ autoClose: false })) {
      number += 1;
      const entry = parse(file, line, number);
      if (number === 1) {
        checkHeader(store, file, entry);
        continue;
      }
      if ("end" in entry) {
        ended = entry["end"];
        continue;
      }
      const table = tableNames.find((name) => name === entry["table"]);
      if (!table) throw refuse(file, `line ${number} is of an unknown table.`);
      const row = entry["row"] as Record<string, unknown>;
      if (table === "events") await insertEvent(store, tx, row);
      else
        await tx
          .insertInto(table)
          .values(row as never)
          .execute();
      rows += 1;
    }
    if (ended !== rows) throw refuse(file, `it is cut off after ${rows} rows.`);
    // Numbers of events go on where they were, so that followers miss none.
    if (store.engine === "postgres")
      await sql`select setval(pg_get_serial_sequence('events', 'sequence'), coalesce((select max(sequence) from events), 0) + 1, false)`.execute(
        tx,
      );
  });
}

async function insertEvent(
  store: Store,
  tx: Parameters<Parameters<Store["write"]>[0]>[0],
  row: Record<string, unknown>,
): Promise<void> {
  const names = Object.keys(row);
  const overriding = store.engine === "postgres" ? sql`overriding system value` : sql``;
  await sql`insert into events (${sql.join(names.map((name) => sql.ref(name)))}) ${overriding} values (${sql.join(names.map((name) => row[name]))})`.execute(
    tx,
  );
}
