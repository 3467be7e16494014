import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Kysely, Migrator, SqliteDialect, sql } from "kysely";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ApiError, backUpStore, openStore, restoreStore } from "../src/index.ts";
import { migrations } from "../src/store/migrations.ts";
import { prepare } from "../src/store/prepare.ts";
import { dump } from "./support/dump.ts";
import { engines } from "./support/engines.ts";
import { Harness } from "./support/harness.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../src/store-command.ts", import.meta.url));
const command = (...words: string[]) =>
  run(process.execPath, ["--conditions=@dynokit/source", "--import", "tsx", program, ...words]);

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-store-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

for (const engine of engines)
  describe.skipIf(engine.skip)(`a store on ${engine.name}`, () => {
    let place: Awaited<ReturnType<typeof engine.open>>;
    let harness: Harness;
    beforeEach(async () => {
      place = await engine.open();
      harness = await new Harness(place.location).start();
    });
    afterEach(async () => {
      await harness.close();
      await place.drop();
    });

    test("undoes a transaction that fails, and runs others one after the other", async () => {
      const { store } = harness;
      const before = await dump(store);
      await expect(
        harness.api.platform.write({ id: "x", email: "x" }, async ({ tx }) => {
          await tx.deleteFrom("accounts").execute();
          throw new Error("stop");
        }),
      ).rejects.toThrow("stop");
      expect(await dump(store)).toBe(before);
      await harness.app("counter");
      await harness.deploy("counter", { web: "w" });
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          harness.call("PATCH", "/apps/counter/config-vars", { [`N${index}`]: "1" }),
        ),
      );
      const vars = (await harness.call("GET", "/apps/counter/config-vars")).json;
      expect(Object.keys(vars)).toHaveLength(20);
      const releases = (await harness.call("GET", "/apps/counter/releases")).json;
      expect(releases.map(({ version }: { version: number }) => version)).toEqual(
        Array.from({ length: 22 }, (_, index) => index + 1),
      );
    });

    test("reads what was committed while a transaction is open, without waiting for it", async () => {
      const { db } = harness.store;
      const name = () => db.selectFrom("accounts").select("name").executeTakeFirstOrThrow();
      const before = await name();
      await harness.store.write(async (tx) => {
        await tx.updateTable("accounts").set({ name: "changed" }).execute();
        expect(await name()).toEqual(before);
        const inside = tx.selectFrom("accounts").select("name").executeTakeFirstOrThrow();
        expect(await inside).toEqual({ name: "changed" });
      });
      expect(await name()).toEqual({ name: "changed" });
    });

    test("lets writers in by the order in which they came", async () => {
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          harness.store.write(async (tx) => {
            await tx.selectFrom("accounts").select("id").execute();
            order.push(index);
          }),
        ),
      );
      expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index));
    });

    test("decides writes that wait together, each all or nothing", async () => {
      const { db } = harness.store;
      await harness.app("base");
      const made = await db.selectFrom("apps").selectAll().executeTakeFirstOrThrow();
      const numbers = Array.from({ length: 40 }, (_, index) => index);
      const results = await Promise.allSettled(
        numbers.map((number) =>
          harness.store.write(async (tx) => {
            const app = { ...made, id: randomUUID(), name: `app-${number}` };
            await tx.insertInto("apps").values(app).execute();
            // Of the failures some are the store's, after which PostgreSQL takes no more.
            if (number % 4 === 1) await tx.insertInto("apps").values(app).execute();
            if (number % 4 === 3) throw new Error("changed its mind");
            return number;
          }),
        ),
      );
      expect(results.map(({ status }) => status)).toEqual(
        numbers.map((number) => (number % 2 === 0 ? "fulfilled" : "rejected")),
      );
      const kept = await db.selectFrom("apps").select("name").where("id", "!=", made.id).execute();
      expect(new Set(kept.map(({ name }) => name))).toEqual(
        new Set(numbers.filter((number) => number % 2 === 0).map((number) => `app-${number}`)),
      );
    });

    test("tells nobody of success when the commit fails", async () => {
      const { db } = harness.store;
      const before = await dump(harness.store);
      const results = await Promise.allSettled([
        harness.store.write(async (tx) => {
          await tx.updateTable("accounts").set({ name: "first" }).execute();
        }),
        harness.store.write(async (tx) => {
          // Stands for a session that breaks: what follows finds no transaction.
          await sql`rollback`.execute(tx);
          await sql`release savepoint write`.execute(tx);
        }),
      ]);
      expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      expect(await dump(harness.store)).toBe(before);
      await harness.store.write(async (tx) => {
        await tx.updateTable("accounts").set({ name: "again" }).execute();
      });
      const { name } = await db.selectFrom("accounts").select("name").executeTakeFirstOrThrow();
      expect(name).toBe("again");
    });

    test("asks prepared queries with other values each time, in a transaction and out of it", async () => {
      const named = prepare((queries, { name }: { readonly name: string }) =>
        queries.selectFrom("apps").select(["id", "name"]).where("name", "=", name),
      );
      await harness.app("first");
      await harness.app("second");
      const { db } = harness.store;
      expect(await named.first(db, { name: "first" })).toMatchObject({ name: "first" });
      expect(await named.all(db, { name: "second" })).toMatchObject([{ name: "second" }]);
      expect(await named.first(db, { name: "third" })).toBeUndefined();
      expect(await named.all(db, { name: "third" })).toEqual([]);
      await harness.store.write(async (tx) => {
        await tx.updateTable("apps").set({ name: "third" }).where("name", "=", "first").execute();
        expect(await named.first(tx, { name: "third" })).toMatchObject({ name: "third" });
      });
    });

    test("serves on after a newer process has added a column", async () => {
      const { db } = harness.store;
      await harness.app("upgraded");
      await db.schema.alterTable("apps").addColumn("novelty", "text").execute();
      const statuses: number[] = [];
      // Each session of a pool finds out once.
      for (let round = 0; round < 30; round++)
        statuses.push((await harness.call("GET", "/apps/upgraded")).status);
      expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
      expect(statuses.slice(-10)).toEqual(Array(10).fill(200));
    });

    test("keeps config vars, drain URLs, keys and tokens out of sight", async () => {
      await harness.app("secretive");
      await harness.call("PATCH", "/apps/secretive/config-vars", { S: "very-secret-value" });
      await harness.call("POST", "/apps/secretive/log-drains", {
        url: "https://user:very-secret-value@logs.example.test/",
      });
      const rows: string[] = [];
      for (const table of ["configs", "drains", "authorizations", "events"] as const)
        rows.push(JSON.stringify(await harness.store.db.selectFrom(table).selectAll().execute()));
      expect(rows.join("\n")).not.toContain("very-secret-value");
      expect(rows.join("\n")).not.toContain(harness.token);
    });

    test("comes back from a backup on either engine, with all there was", async () => {
      await harness.app("saved");
      await harness.deploy("saved", { web: "w" });
      await harness.call("PATCH", "/apps/saved/config-vars", { A: "1" });
      const file = join(directory, "backup.jsonl");
      await backUpStore(harness.store, file);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const before = await dump(harness.store);
      for (const target of engines.filter(({ skip }) => !skip)) {
        const other = await target.open();
        const data = mkdtempSync(join(tmpdir(), "dynokit-restored-"));
        copyFileSync(join(harness.directory, "secret.key"), join(data, "secret.key"));
        const store = await openStore(other.location ?? data, { directory: data });
        await restoreStore(store, file);
        if (store.engine === harness.store.engine) expect(await dump(store)).toBe(before);
        await expect(restoreStore(store, file)).rejects.toThrow(/holds the app saved/);
        await store.close();
        const revived = new Harness(other.location ?? data);
        try {
          await revived.start({}, data);
          const vars = await revived.call(
            "GET",
            "/apps/saved/config-vars",
            undefined,
            {},
            harness.token,
          );
          expect(vars.json).toEqual({ A: "1" });
          await revived.call("PATCH", "/apps/saved/config-vars", { B: "2" });
          const events = await revived.store.db.selectFrom("events").select("sequence").execute();
          expect(new Set(events.map(({ sequence }) => sequence)).size).toBe(events.length);
        } finally {
          await revived.close();
          await other.drop();
          rmSync(data, { recursive: true, force: true });
        }
      }
    });

    test("refuses a backup that is cut off or sealed with another key, and stays as it was", async () => {
      await harness.app("saved");
      const file = join(directory, "backup.jsonl");
      await backUpStore(harness.store, file);
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      const other = await engine.open();
      const data = join(directory, "other");
      const store = await openStore(other.location ?? data, { directory: data });
      const before = await dump(store);
      await expect(restoreStore(store, file)).rejects.toThrow(/needs? another key/);
      await store.close();
      copyFileSync(join(harness.directory, "secret.key"), join(data, "secret.key"));
      const again = await openStore(other.location ?? data, { directory: data });
      writeFileSync(file, `${lines.slice(0, -2).join("\n")}\n`);
      await expect(restoreStore(again, file)).rejects.toThrow(/is cut off after/);
      writeFileSync(file, `${lines.slice(0, 3).join("\n")}\n{"table":"apps","row`);
      await expect(restoreStore(again, file)).rejects.toThrow(/line 4 is not JSON/);
      writeFileSync(file, "hello\n");
      await expect(restoreStore(again, file)).rejects.toThrow(ApiError);
      expect(await dump(again)).toBe(before);
      await again.close();
      await other.drop();
    });
  });

describe("an embedded store", () => {
  test("says which file is broken and what to do, and leaves it as it is", async () => {
    const file = join(directory, "dynokit.db");
    const junk = "this is no database, ".repeat(1000);
    writeFileSync(file, junk);
    const error = await openStore(directory).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: "unavailable" });
    expect(String(error)).toContain(file);
    expect(readFileSync(file, "utf8")).toBe(junk);
  });

  test("notices pages that were overwritten", async () => {
    const harness = await new Harness().start();
    for (let n = 0; n < 30; n++) await harness.app(`app-${n}`);
    await harness.store.db.executeQuery(
      (await import("kysely")).sql`pragma wal_checkpoint(truncate)`.compile(harness.store.db),
    );
    const bytes = readFileSync(join(harness.directory, "dynokit.db"));
    await harness.close();
    bytes.fill(0xff, 8192, bytes.length - 4096);
    writeFileSync(join(directory, "dynokit.db"), bytes);
    await expect(openStore(directory)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("brings the file of the first version forward without loss", async () => {
    const database = new Database(join(directory, "dynokit.db"));
    const db = new Kysely<never>({ dialect: new SqliteDialect({ database: database as never }) });
    const { error } = await new Migrator({
      db,
      provider: {
        getMigrations: async () => ({ "0001-first": migrations["0001-first"] as never }),
      },
    }).migrateToLatest();
    expect(error).toBeUndefined();
    database.exec(
      "insert into accounts values ('8d2c0d9a-0000-4000-8000-000000000001','old@example.test',null,null,1,0,0,null,null,'2025-01-01T00:00:00.000Z','2025-01-01T00:00:00.000Z')",
    );
    database.exec(
      "insert into releases values ('8d2c0d9a-0000-4000-8000-000000000002','x',1,'d','pending',0,null,'c','u','e',null,'2025-01-01T00:00:00.000Z','2025-01-01T00:00:00.000Z')",
    );
    await db.destroy();
    const store = await openStore(directory);
    const rows = await store.db.selectFrom("releases").select(["status", "owner"]).execute();
    expect(rows).toEqual([{ status: "pending", owner: 0 }]);
    const account = await store.db.selectFrom("accounts").select("email").executeTakeFirst();
    expect(account?.email).toBe("old@example.test");
    await store.close();
  });

  test("leaves a file that is whole without its log when it closes, also beside another", async () => {
    const first = await openStore(directory);
    const other = await openStore(directory);
    await other.db.selectFrom("apps").selectAll().execute();
    await first.close();
    const copy = join(directory, "copy");
    mkdirSync(copy);
    copyFileSync(join(directory, "dynokit.db"), join(copy, "dynokit.db"));
    const database = new Database(join(copy, "dynokit.db"));
    const names = database.prepare("select name from kysely_migration").all() as unknown[];
    expect(names).toHaveLength(Object.keys(migrations).length);
    database.close();
    await other.close();
  });

  test("refuses a file that a newer version wrote", async () => {
    const store = await openStore(directory);
    await store.close();
    const database = new Database(join(directory, "dynokit.db"));
    database.exec(
      "insert into kysely_migration values ('9999-future', '2099-01-01T00:00:00.000Z')",
    );
    database.close();
    await expect(openStore(directory)).rejects.toThrow(/9999-future/);
  });
});

describe("the command dynokit-store", () => {
  test("backs up, restores and checks", async () => {
    const data = join(directory, "data");
    const harness = new Harness(data);
    await harness.start({}, data);
    await harness.app("saved");
    const file = join(directory, "backup.jsonl");
    expect((await command("backup", data, file)).stdout).toBe("backup: 1 apps, engine libsql\n");
    await harness.close();
    const fresh = join(directory, "fresh");
    await expect(command("restore", fresh, file)).rejects.toMatchObject({ code: 1 });
    copyFileSync(join(data, "secret.key"), join(fresh, "secret.key"));
    expect((await command("restore", fresh, file)).stdout).toBe("restore: 1 apps, engine libsql\n");
    expect((await command("check", fresh)).stdout).toBe("check: 1 apps, engine libsql\n");
    await expect(command("nonsense")).rejects.toMatchObject({ code: 2 });
    const slip = join(directory, "slip");
    await expect(command("backup", slip, file)).rejects.toMatchObject({
      code: 1,
      stderr: `There is no store in ${slip}: give the data directory of a platform.\n`,
    });
    expect(existsSync(slip)).toBe(false);
  }, 120_000);
});
