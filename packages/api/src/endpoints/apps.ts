import { z } from "zod";
import { accountBy } from "../auth/accounts.ts";
import { findApp, sliceApps } from "../auth/apps.ts";
import type { Grant } from "../auth/scopes.ts";
import { ApiError, invalid } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import type { RangeRequest } from "../http/range.ts";
import { createApp, destroyApp, renameApp } from "../platform/apps.ts";
import { reconcile } from "../platform/desired.ts";
import type { Platform } from "../platform/platform.ts";
import { type AppDocument, appSchema, presentApp, presentApps } from "../resources/app.ts";
import { findNamed, regions, stacks } from "../resources/catalog.ts";
import { appName, identityInput, identityOf } from "../resources/common.ts";
import { sliceOf } from "../store/slice.ts";
import type { AccountRow, AppRow } from "../store/tables.ts";

const createBody = z.object({
  name: appName.nullish(),
  region: identityInput.nullish(),
  stack: identityInput.nullish(),
  feature_flags: z.array(z.string().max(100)).max(50).nullish(),
});

/** @throws ApiError `invalid-params` when there is no such stack. */
export function stackNamed(input: z.output<typeof identityInput>, field: string): string {
  const stack = findNamed(stacks, identityOf(input));
  if (!stack)
    throw invalid(
      field,
      `There is no stack ${JSON.stringify(identityOf(input))}. Use ${stacks.map(({ name }) => name).join(", ")}.`,
    );
  return stack.name;
}

const ranges = ["name", "id"] as const;

async function pageOfApps(
  platform: Platform,
  account: AccountRow,
  grant: Grant,
  all: boolean,
  range: RangeRequest,
): Promise<AppDocument[]> {
  const rows = await sliceApps(platform.db, account, grant, all, (query) =>
    sliceOf(query, platform.store.engine, range, "apps", { name: "text", id: "text" }),
  );
  return await presentApps(platform, platform.db, rows, account);
}

export const appEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "app",
    title: "Create",
    method: "POST",
    path: "/apps",
    verb: "manage",
    summary: "Makes an app with its first release, which has no code yet.",
    body: createBody,
    bodyOptional: true,
    response: appSchema,
    status: 201,
    handler: async ({ platform, account, body, write }) => {
      const region = body.region ? findNamed(regions, identityOf(body.region)) : regions[0];
      if (!region)
        throw invalid(
          "region",
          `There is no such region. Use ${regions.map(({ name }) => name).join(", ")}.`,
        );
      return await write(async (unit) => {
        const app = await createApp(platform, unit, {
          name: body.name ?? undefined,
          owner: account,
          region: region.name,
          stack: body.stack ? stackNamed(body.stack, "stack") : undefined,
        });
        return await presentApp(platform, unit.tx, app);
      });
    },
  }),
  defineEndpoint({
    resource: "app",
    title: "List",
    method: "GET",
    path: "/apps",
    verb: "read",
    summary: "Lists the apps you own or collaborate on; an administrator gets all.",
    response: appSchema,
    ranges,
    handler: async ({ platform, account, grant, range }) =>
      await pageOfApps(platform, account, grant, true, range()),
  }),
  defineEndpoint({
    resource: "app",
    title: "List Owned and Collaborated",
    method: "GET",
    path: "/users/{account}/apps",
    verb: "read",
    summary: "Lists the apps an account owns or collaborates on.",
    response: appSchema,
    ranges,
    handler: async ({ platform, account, grant, params, range }) => {
      const key = params["account"] ?? "~";
      const wanted = key === "~" ? account : await accountBy(platform, key);
      if (wanted.id !== account.id && account.admin !== 1)
        throw new ApiError("not-found", "Couldn't find that account.", { resource: "account" });
      return await pageOfApps(platform, wanted, grant, false, range());
    },
  }),
  defineEndpoint({
    resource: "app",
    title: "Info",
    method: "GET",
    path: "/apps/{app}",
    verb: "read",
    summary: "Shows an app.",
    response: appSchema,
    handler: async ({ platform, app, account }) =>
      await presentApp(platform, platform.db, app, account),
  }),
  defineEndpoint({
    resource: "app",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}",
    verb: "operate",
    summary: "Renames an app, switches maintenance mode, or sets the stack of the next build.",
    body: z.object({
      name: appName.optional(),
      maintenance: z.boolean().optional(),
      build_stack: identityInput.optional(),
    }),
    bodyOptional: true,
    response: appSchema,
    handler: async ({ platform, app, body, write, actor }) =>
      await write(async (unit) => {
        const buildStack =
          body.build_stack === undefined
            ? app.build_stack
            : stackNamed(body.build_stack, "build_stack");
        const row: AppRow = {
          ...app,
          build_stack: buildStack,
          maintenance: body.maintenance === undefined ? app.maintenance : body.maintenance ? 1 : 0,
          updated_at: unit.now,
        };
        await unit.tx
          .updateTable("apps")
          .set({
            build_stack: row.build_stack,
            maintenance: row.maintenance,
            updated_at: row.updated_at,
          })
          .where("id", "=", app.id)
          .execute();
        const renamed =
          body.name === undefined || body.name === app.name
            ? row
            : await renameApp(platform, unit, row, body.name);
        const document = await presentApp(platform, unit.tx, renamed);
        const before = await presentApp(platform, unit.tx, app);
        unit.event({
          app: app.id,
          resource: "app",
          action: "update",
          data: document,
          previous: changedFields(before, document),
        });
        unit.after(async () => {
          if (row.maintenance !== app.maintenance)
            platform.say(
              app.id,
              `Maintenance mode ${row.maintenance === 1 ? "enabled" : "disabled"} by user ${actor.email}`,
            );
          await reconcile(platform, app.id);
        });
        return document;
      }),
  }),
  defineEndpoint({
    resource: "app",
    title: "Delete",
    method: "DELETE",
    path: "/apps/{app}",
    verb: "manage",
    summary: "Removes an app with its dynos, releases, config vars, domains, drains and logs.",
    response: appSchema,
    handler: async ({ platform, app, account, write }) => {
      if (app.owner_id !== account.id && account.admin !== 1)
        throw new ApiError("forbidden", "Only the owner of an app can remove it.", {
          app: { name: app.name },
        });
      return await write(async (unit) => {
        const current = await findApp(unit.tx, account, app.id);
        const document = await presentApp(platform, unit.tx, current);
        await destroyApp(platform, unit, current, document);
        return document;
      });
    },
  }),
];

/** Fields of `before` that differ in `after`. */
export function changedFields(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(before).filter(
      ([key, value]) =>
        key !== "updated_at" && JSON.stringify(value) !== JSON.stringify(after[key]),
    ),
  );
}
