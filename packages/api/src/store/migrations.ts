import { type Migration, sql } from "kysely";
import { first } from "./migrations/first.ts";
import { type AnyDatabase, createTable, index, isPostgres, stamps } from "./migrations/schema.ts";

/** Which process is at work on what is under way. */
const owners: Migration = {
  async up(db: AnyDatabase) {
    for (const table of ["releases", "builds", "idempotency"])
      await db.schema
        .alterTable(table)
        .addColumn("owner", "integer", (column) => column.notNull().defaultTo(0))
        .execute();
  },
};

/** What a page of a list is read by, in the order of bytes whatever the collation of the database. */
const pages: Migration = {
  async up(db: AnyDatabase) {
    const bytes = isPostgres(db) ? sql` collate "C"` : sql``;
    const by = async (table: string, field: string, ...owner: readonly string[]) => {
      const name = `${[table, ...owner, field].join("_")}_page_idx`;
      const columns = [...owner.map((column) => sql.ref(column)), sql`${sql.ref(field)}${bytes}`];
      await sql`create index ${sql.ref(name)} on ${sql.ref(table)} (${sql.join(columns)})`.execute(
        db,
      );
    };
    if (isPostgres(db)) {
      await by("apps", "name");
      await by("apps", "id");
    }
    await by("apps", "name", "owner_id");
    await by("apps", "id", "owner_id");
    await by("releases", "id", "app_id");
    await by("builds", "id", "app_id");
    await index(db, "collaborators", ["account_id", "app_id"]);
  },
};

/** Nothing was ever kept in the table of this name before. */
const setups: Migration = {
  async up(db: AnyDatabase) {
    await db.schema.dropTable("setups").execute();
    await createTable(db, "setups", {
      id: "id",
      app_id: "text",
      app_name: "text",
      account_id: "text",
      build_id: "text?",
      status: "text",
      failure_message: "text?",
      manifest_errors: "text",
      success_url: "text?",
      postdeploy_code: "int?",
      postdeploy_output: "text?",
      owner: "int",
      ...stamps,
    });
    await index(db, "setups", ["app_id"]);
  },
};

/** What is under way is looked for every second, and is little among all that ever was. */
const unfinished: Migration = {
  async up(db: AnyDatabase) {
    for (const table of ["releases", "builds", "setups"])
      await sql`create index ${sql.ref(`${table}_pending_idx`)} on ${sql.ref(table)} (owner) where status = 'pending'`.execute(
        db,
      );
    await sql`create index idempotency_pending_idx on idempotency (owner) where status = 0`.execute(
      db,
    );
  },
};

/** Sign-ins through the browser, whichever process the browser and the CLI reach. */
const logins: Migration = {
  async up(db: AnyDatabase) {
    await createTable(db, "logins", {
      id: "id",
      secret_hash: "text",
      description: "text",
      sealed_token: "text?",
      expires_at: "text",
      created_at: "text",
    });
    await index(db, "logins", ["expires_at"]);
  },
};

/** What one-off dynos were asked to run, and how they ended. */
const runs: Migration = {
  async up(db: AnyDatabase) {
    await createTable(db, "runs", {
      id: "id",
      app_id: "text",
      number: "int",
      name: "text",
      type: "text",
      command: "text",
      size: "text",
      release_id: "text",
      release_version: "int",
      status: "text",
      exit_code: "int?",
      signal: "text?",
      error: "text?",
      ended_at: "text?",
      user_id: "text",
      user_email: "text",
      owner: "int",
      ...stamps,
    });
    await index(db, "runs", ["app_id", "number"], true);
    await index(db, "runs", ["app_id", "name"]);
    const bytes = isPostgres(db) ? sql` collate "C"` : sql``;
    await sql`create index runs_app_id_id_page_idx on runs (app_id, id${bytes})`.execute(db);
    await sql`create index runs_running_idx on runs (owner) where status = 'running'`.execute(db);
  },
};

/** Events by who did it and of what, and couplings by pipeline, in the order they are read. */
const followers: Migration = {
  async up(db: AnyDatabase) {
    await index(db, "events", ["actor_id", "sequence"]);
    await index(db, "events", ["resource", "sequence"]);
    const bytes = isPostgres(db) ? sql` collate "C"` : sql``;
    await index(db, "pipelines", ["owner_id"]);
    await sql`create index couplings_pipeline_id_id_page_idx on couplings (pipeline_id, id${bytes})`.execute(
      db,
    );
    if (!isPostgres(db)) return;
    await sql`create index couplings_id_page_idx on couplings (id${bytes})`.execute(db);
    await sql`create index pipelines_id_page_idx on pipelines (id${bytes})`.execute(db);
    await sql`create index pipelines_name_page_idx on pipelines (name${bytes})`.execute(db);
  },
};

/** What runs and what is pending of an app, however many releases it had. */
const present: Migration = {
  async up(db: AnyDatabase) {
    await index(db, "releases", ["app_id", "current"]);
    await index(db, "releases", ["app_id", "status"]);
  },
};

/** What apps ask of their router beyond hosts and maintenance mode. */
const router: Migration = {
  async up(db: AnyDatabase) {
    await createTable(db, "router_settings", { app_id: "id", sealed: "text", ...stamps });
  },
};

/** In order; a name that was released is never changed or removed. */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001-first": first,
  "0002-owners": owners,
  "0003-pages": pages,
  "0004-setups": setups,
  "0005-unfinished": unfinished,
  "0006-logins": logins,
  "0007-runs": runs,
  "0008-followers": followers,
  "0009-present": present,
  "0010-router": router,
};
