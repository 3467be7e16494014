import { type ColumnDataType, type Kysely, type Migration, sql } from "kysely";

// biome-ignore lint/suspicious/noExplicitAny: a migration sees the schema of its own time, which has no type.
type AnyDatabase = Kysely<any>;

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

async function createTable(
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

async function index(
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

const stamps = { created_at: "text", updated_at: "text" } as const;

const first: Migration = {
  async up(db: AnyDatabase) {
    await createTable(db, "accounts", {
      id: "id",
      email: "text",
      name: "text?",
      password_hash: "text?",
      admin: "int",
      allow_tracking: "int",
      beta: "int",
      last_login: "text?",
      suspended_at: "text?",
      ...stamps,
    });
    await index(db, "accounts", ["email"], true);
    await createTable(db, "authorizations", {
      id: "id",
      account_id: "text",
      description: "text",
      scope: "text",
      client_id: "text?",
      token_id: "text",
      token_hash: "text",
      token_prefix: "text",
      expires_at: "text?",
      refresh_id: "text?",
      refresh_hash: "text?",
      grant_id: "text?",
      grant_hash: "text?",
      grant_expires_at: "text?",
      last_used_at: "text?",
      ...stamps,
    });
    await index(db, "authorizations", ["token_hash"], true);
    await index(db, "authorizations", ["account_id"]);
    await createTable(db, "clients", {
      id: "id",
      account_id: "text",
      name: "text",
      redirect_uri: "text",
      secret_hash: "text",
      ...stamps,
    });
    await createTable(db, "apps", {
      id: "id",
      name: "text",
      owner_id: "text",
      region: "text",
      stack: "text",
      build_stack: "text",
      maintenance: "int",
      acm: "int",
      archived_at: "text?",
      released_at: "text?",
      buildpack_provided_description: "text?",
      slug_size: "number?",
      repo_size: "number?",
      buildpacks: "text",
      config_settings: "text",
      ...stamps,
    });
    await index(db, "apps", ["name"], true);
    await createTable(db, "collaborators", {
      id: "id",
      app_id: "text",
      account_id: "text",
      role: "text",
      permissions: "text",
      ...stamps,
    });
    await index(db, "collaborators", ["app_id", "account_id"], true);
    await createTable(db, "configs", {
      id: "id",
      app_id: "text",
      sealed: "text",
      created_at: "text",
    });
    await createTable(db, "slugs", {
      id: "id",
      app_id: "text",
      blob_id: "text?",
      path: "text?",
      checksum: "text?",
      size: "number?",
      process_types: "text",
      stack: "text",
      commit_id: "text?",
      commit_description: "text?",
      buildpack_provided_description: "text?",
      ...stamps,
    });
    await createTable(db, "releases", {
      id: "id",
      app_id: "text",
      version: "int",
      description: "text",
      status: "text",
      current: "int",
      slug_id: "text?",
      config_id: "text",
      user_id: "text",
      user_email: "text",
      output_id: "text?",
      ...stamps,
    });
    await index(db, "releases", ["app_id", "version"], true);
    await createTable(db, "builds", {
      id: "id",
      app_id: "text",
      status: "text",
      buildpacks: "text?",
      source: "text",
      stack: "text",
      slug_id: "text?",
      release_id: "text?",
      user_id: "text",
      user_email: "text",
      ...stamps,
    });
    await index(db, "builds", ["app_id"]);
    await createTable(db, "processes", {
      id: "id",
      app_id: "text",
      type: "text",
      quantity: "int",
      size: "text",
      ...stamps,
    });
    await index(db, "processes", ["app_id", "type"], true);
    await createTable(db, "domains", {
      id: "id",
      app_id: "text",
      hostname: "text",
      kind: "text",
      cname: "text?",
      status: "text",
      acm_status: "text?",
      acm_status_reason: "text?",
      sni_endpoint_id: "text?",
      ...stamps,
    });
    await index(db, "domains", ["hostname"], true);
    await createTable(db, "certificates", {
      id: "id",
      app_id: "text",
      name: "text",
      certificate_chain: "text",
      sealed_key: "text",
      details: "text",
      ...stamps,
    });
    await createTable(db, "drains", {
      id: "id",
      app_id: "text",
      sealed_url: "text",
      token: "text",
      ...stamps,
    });
    await createTable(db, "features", {
      owner_id: "text",
      name: "text",
      enabled: "int",
      ...stamps,
    });
    await index(db, "features", ["owner_id", "name"], true);
    await createTable(db, "webhooks", {
      id: "id",
      app_id: "text",
      include: "text",
      level: "text",
      url: "text",
      sealed_secret: "text",
      sealed_authorization: "text?",
      failing_since: "text?",
      ...stamps,
    });
    await createTable(db, "deliveries", {
      id: "id",
      app_id: "text",
      webhook_id: "text",
      event_id: "text",
      event_include: "text",
      status: "text",
      attempts: "int",
      next_attempt_at: "text?",
      last_at: "text?",
      last_code: "int?",
      last_error: "text?",
      ...stamps,
    });
    await index(db, "deliveries", ["status", "next_attempt_at"]);
    await index(db, "deliveries", ["app_id"]);
    await createTable(db, "pipelines", { id: "id", name: "text", owner_id: "text", ...stamps });
    await index(db, "pipelines", ["name"], true);
    await createTable(db, "couplings", {
      id: "id",
      app_id: "text",
      pipeline_id: "text",
      stage: "text",
      ...stamps,
    });
    await index(db, "couplings", ["app_id"], true);
    await createTable(db, "promotions", {
      id: "id",
      pipeline_id: "text",
      source_app_id: "text",
      source_release_id: "text",
      status: "text",
      ...stamps,
    });
    await createTable(db, "promotion_targets", {
      id: "id",
      promotion_id: "text",
      app_id: "text",
      release_id: "text?",
      status: "text",
      error_message: "text?",
    });
    await createTable(db, "stage_configs", { pipeline_id: "text", stage: "text", sealed: "text" });
    await index(db, "stage_configs", ["pipeline_id", "stage"], true);
    await createTable(db, "transfers", {
      id: "id",
      app_id: "text",
      owner_id: "text",
      recipient_id: "text",
      state: "text",
      ...stamps,
    });
    await createTable(db, "setups", {
      id: "id",
      app_id: "text",
      build_id: "text?",
      status: "text",
      failure_message: "text?",
      manifest_errors: "text",
      ...stamps,
    });
    await createTable(db, "idempotency", {
      account_id: "text",
      key: "text",
      fingerprint: "text",
      status: "int",
      headers: "text",
      sealed_body: "text",
      created_at: "text",
    });
    await index(db, "idempotency", ["account_id", "key"], true);
    const sequence = isPostgres(db)
      ? sql`sequence integer generated always as identity primary key`
      : sql`sequence integer primary key autoincrement`;
    await sql`create table events (
      ${sequence}, id text not null, app_id text, resource text not null, action text not null,
      actor_id text not null, actor_email text not null, data text not null,
      previous_data text not null, created_at text not null)`.execute(db);
    await index(db, "events", ["app_id", "sequence"]);
    await index(db, "events", ["id"], true);
  },
};

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

function isPostgres(db: AnyDatabase): boolean {
  return db.getExecutor().adapter.constructor.name === "PostgresAdapter";
}

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
