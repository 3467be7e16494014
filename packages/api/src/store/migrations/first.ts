import { type Migration, sql } from "kysely";
import { type AnyDatabase, createTable, index, isPostgres, stamps } from "./schema.ts";

/** The tables of the first version. */
export const first: Migration = {
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
