import { randomInt } from "node:crypto";
import { ApiError, invalid } from "../errors.ts";
import { type AppDocument, presentApp } from "../resources/app.ts";
import { defaultStack } from "../resources/catalog.ts";
import type { AccountRow, AppRow, DomainRow } from "../store/tables.ts";
import { storeConfig } from "./config.ts";
import { reconcile } from "./desired.ts";
import { messageOf, type Platform, type Unit } from "./platform.ts";
import { createRelease } from "./releases.ts";

const adjectives =
  "amber ancient autumn bitter bold brave bright calm clear cool crisp dawn deep distant dry early eager fair fast fresh gentle glad golden green hidden kind late light lively lucky mellow mild misty modest morning noble plain polite proud quick quiet rapid sharp shy silent silver simple smooth soft solid still stormy sunny swift tall tidy warm wild wise young".split(
    " ",
  );
const nouns =
  "bay beach birch bird bluff breeze brook canyon cedar cliff cloud coast cove creek dale dawn desert dew dune dusk elm falcon fern field fire fjord fog forest garden glade glen grove harbor hawk heron hill island lake leaf maple marsh meadow mesa moon moss oak ocean orchard otter peak pebble pine plain pond prairie rain reef ridge river rock sea shore sky snow spring spruce star stone stream summit sun surf thunder tide trail tree tundra valley wave willow wind wood".split(
    " ",
  );

function randomName(): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)];
  return `${pick(adjectives)}-${pick(nouns)}-${String(randomInt(100_000)).padStart(5, "0")}`;
}

async function assertFree(platform: Platform, unit: Unit, name: string): Promise<void> {
  const taken = await unit.tx
    .selectFrom("apps")
    .select("id")
    .where("name", "=", name)
    .executeTakeFirst();
  const host = await unit.tx
    .selectFrom("domains")
    .select("id")
    .where("hostname", "=", `${name}.${platform.appDomain}`)
    .executeTakeFirst();
  if (taken || host) throw invalid("name", `Name ${name} is already taken`);
}

/** What a new app is. */
export interface NewApp {
  readonly name?: string | undefined;
  readonly owner: AccountRow;
  readonly region: string;
  readonly stack?: string | undefined;
}

/** Makes an app with its default domain and release v1. */
export async function createApp(platform: Platform, unit: Unit, input: NewApp): Promise<AppRow> {
  const { tx, now } = unit;
  const { count } = await tx
    .selectFrom("apps")
    .select((expression) => expression.fn.countAll().as("count"))
    .executeTakeFirstOrThrow();
  if (Number(count) >= platform.limits.maxApps)
    throw new ApiError(
      "invalid-params",
      `This platform has ${platform.limits.maxApps} apps, which is its limit. Remove one first.`,
    );
  const name = input.name ?? randomName();
  await assertFree(platform, unit, name);
  const stack = input.stack ?? defaultStack.name;
  const app: AppRow = {
    id: platform.uuid(),
    name,
    owner_id: input.owner.id,
    region: input.region,
    stack,
    build_stack: stack,
    maintenance: 0,
    acm: 0,
    archived_at: null,
    released_at: null,
    buildpack_provided_description: null,
    slug_size: null,
    repo_size: null,
    buildpacks: "[]",
    config_settings: "[]",
    created_at: now,
    updated_at: now,
  };
  await tx.insertInto("apps").values(app).execute();
  await tx
    .insertInto("domains")
    .values(defaultDomain(platform, app, now))
    .execute();
  unit.event({
    app: app.id,
    resource: "app",
    action: "create",
    data: await presentApp(platform, tx, app),
  });
  const configId = await storeConfig(platform, unit, app.id, {});
  unit.after(() => {
    platform.logplex.channel?.(app.id);
  });
  await createRelease(platform, unit, {
    app,
    slugId: null,
    configId,
    description: "Initial release",
  });
  return { ...app, released_at: now };
}

function defaultDomain(platform: Platform, app: AppRow, now: string): DomainRow {
  return {
    id: platform.uuid(),
    app_id: app.id,
    hostname: `${app.name}.${platform.appDomain}`,
    kind: "heroku",
    cname: null,
    status: "succeeded",
    acm_status: null,
    acm_status_reason: null,
    sni_endpoint_id: null,
    created_at: now,
    updated_at: now,
  };
}

/** Gives an app another name and with it another default domain. */
export async function renameApp(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  name: string,
): Promise<AppRow> {
  await assertFree(platform, unit, name);
  await unit.tx.updateTable("apps").set({ name }).where("id", "=", app.id).execute();
  await unit.tx
    .updateTable("domains")
    .set({ hostname: `${name}.${platform.appDomain}`, updated_at: unit.now })
    .where("app_id", "=", app.id)
    .where("kind", "=", "heroku")
    .execute();
  return { ...app, name };
}

const ownTables = [
  "collaborators",
  "configs",
  "slugs",
  "releases",
  "builds",
  "processes",
  "domains",
  "router_settings",
  "certificates",
  "drains",
  "webhooks",
  "deliveries",
  "couplings",
  "transfers",
  "runs",
] as const;

/** Removes an app and everything of it; the audit trail stays. */
export async function destroyApp(
  platform: Platform,
  unit: Unit,
  app: AppRow,
  document: AppDocument,
): Promise<void> {
  const { tx } = unit;
  const slugs = await tx.selectFrom("slugs").selectAll().where("app_id", "=", app.id).execute();
  const builds = await tx.selectFrom("builds").select("id").where("app_id", "=", app.id).execute();
  const outputs = await tx
    .selectFrom("releases")
    .select("output_id")
    .where("app_id", "=", app.id)
    .execute();
  const drains = await tx.selectFrom("drains").select("id").where("app_id", "=", app.id).execute();
  for (const table of ownTables) {
    let deletion = tx.deleteFrom(table).where("app_id", "=", app.id);
    // Code that was promoted to another app lives on with it.
    if (table === "slugs")
      deletion = deletion.where("id", "not in", (others) =>
        others
          .selectFrom("releases")
          .select((row) => row.ref("slug_id").$notNull().as("slug_id"))
          .where("app_id", "!=", app.id)
          .where("slug_id", "is not", null),
      );
    // Those that want to hear of the app's end go once they have.
    if (table === "webhooks") deletion = deletion.where("include", "not like", '%"api:app"%');
    await deletion.execute();
  }
  await tx
    .deleteFrom("setups")
    .where("app_id", "=", app.id)
    .where("status", "!=", "failed")
    .execute();
  await tx.deleteFrom("features").where("owner_id", "=", app.id).execute();
  await tx.deleteFrom("apps").where("id", "=", app.id).execute();
  unit.event({ app: app.id, resource: "app", action: "destroy", data: document });
  unit.after(async () => {
    for (const { id } of builds) platform.builds.get(id)?.abort();
    platform.traffic.forget(app.id);
    platform.refusedPages.delete(app.id);
    await reconcile(platform, app.id);
    // Afterwards: until then its dynos may be measured.
    platform.usage.forget(app.id);
    for (const { id } of drains) await quietly(platform, () => platform.logplex.removeDrain(id));
    await quietly(platform, () => platform.logplex.deleteChannel(app.id));
    for (const { id } of builds) platform.outputs.remove(id);
    for (const { output_id } of outputs) if (output_id !== null) platform.outputs.remove(output_id);
    for (const slug of slugs) {
      const blob = slug.blob_id;
      if (blob === null) continue;
      const shared = await platform.db
        .selectFrom("slugs")
        .select("id")
        .where("blob_id", "=", blob)
        .executeTakeFirst();
      if (!shared) await quietly(platform, () => platform.builder?.removeSlug(blob));
    }
  });
}

/** Cleaning up must not fail what was decided already. */
export async function quietly(platform: Platform, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    platform.logger.warn({ error: messageOf(error) }, "cleaning up failed");
  }
}
