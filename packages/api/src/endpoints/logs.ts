import { z } from "zod";
import { isoTime, presentTime } from "../clock.ts";
import { ApiError, invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { quietly } from "../platform/apps.ts";
import { messageOf, type Platform } from "../platform/platform.ts";
import { drainSchema, logSessionSchema, presentDrain } from "../resources/domain.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, DrainRow } from "../store/tables.ts";

/** Reads the sealed URL of a drain. */
export function drainUrl(platform: Platform, row: DrainRow): string {
  return platform.secrets.open(row.sealed_url, `drain:${row.id}`);
}

async function drainsOf(queries: Queries, app: AppRow): Promise<DrainRow[]> {
  return await queries
    .selectFrom("drains")
    .selectAll()
    .where("app_id", "=", app.id)
    .orderBy("created_at")
    .execute();
}

async function drainBy(
  platform: Platform,
  queries: Queries,
  app: AppRow,
  key: string,
): Promise<DrainRow> {
  const row = (await drainsOf(queries, app)).find(
    (drain) => drain.id === key || drain.token === key || drainUrl(platform, drain) === key,
  );
  if (!row) throw notFound("log_drain");
  return row;
}

const maxDrains = 50;

export const logEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "log-drain",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/log-drains",
    verb: "operate",
    summary: "Sends a copy of an app's logs to a URL.",
    body: z.object({ url: z.string().min(1).max(4000) }),
    response: drainSchema,
    status: 201,
    handler: async ({ platform, app, body, write, actor, preview }) => {
      const { url } = body;
      if (
        !URL.canParse(url) ||
        !/^(https?|syslog|syslog\+tls|syslogs):$/.test(new URL(url).protocol)
      )
        throw invalid(
          "url",
          "The URL of a drain starts with https://, http://, syslog:// or syslog+tls://.",
        );
      return await write(async (unit) => {
        const drains = await drainsOf(unit.tx, app);
        if (drains.some((drain) => drainUrl(platform, drain) === url))
          throw invalid("url", "The app has a drain to this URL already.");
        if (drains.length >= maxDrains)
          throw invalid(
            "url",
            `The app has ${drains.length} drains, which is the most it can have.`,
          );
        const id = platform.uuid();
        const row: DrainRow = {
          id,
          app_id: app.id,
          sealed_url: platform.secrets.seal(url, `drain:${id}`),
          token: `d.${platform.uuid()}`,
          created_at: unit.now,
          updated_at: unit.now,
        };
        await unit.tx.insertInto("drains").values(row).execute();
        unit.event({
          app: app.id,
          resource: "log-drain",
          action: "create",
          data: { id, token: row.token, app: { id: app.id, name: app.name } },
        });
        try {
          // Before the commit, so that a URL which logplex refuses leaves nothing behind.
          if (!preview) await platform.logplex.addDrain(app.id, url, { id, token: row.token });
        } catch (error) {
          if ((error as { status?: unknown }).status !== undefined)
            throw invalid("url", messageOf(error));
          throw error;
        }
        unit.after(() => platform.say(app.id, `Add log drain ${row.token} by user ${actor.email}`));
        return presentDrain(app, row, url);
      });
    },
  }),
  defineEndpoint({
    resource: "log-drain",
    title: "List",
    method: "GET",
    path: "/apps/{app}/log-drains",
    verb: "read",
    summary: "Lists the drains of an app.",
    response: drainSchema,
    ranges: ["id"],
    handler: async ({ platform, app }) =>
      (await drainsOf(platform.db, app)).map((row) =>
        presentDrain(app, row, drainUrl(platform, row)),
      ),
  }),
  defineEndpoint({
    resource: "log-drain",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/log-drains/{log_drain}",
    verb: "read",
    summary: "Shows a drain, by id, token or percent-encoded URL.",
    response: drainSchema,
    handler: async ({ platform, app, params }) => {
      const row = await drainBy(platform, platform.db, app, params["log_drain"] ?? "");
      return presentDrain(app, row, drainUrl(platform, row));
    },
  }),
  defineEndpoint({
    resource: "log-drain",
    title: "Delete",
    method: "DELETE",
    path: "/apps/{app}/log-drains/{log_drain}",
    verb: "operate",
    summary: "Removes a drain.",
    response: drainSchema,
    handler: async ({ platform, app, params, write, actor }) =>
      await write(async (unit) => {
        const row = await drainBy(platform, unit.tx, app, params["log_drain"] ?? "");
        await unit.tx.deleteFrom("drains").where("id", "=", row.id).execute();
        unit.event({
          app: app.id,
          resource: "log-drain",
          action: "destroy",
          data: { id: row.id, token: row.token, app: { id: app.id, name: app.name } },
        });
        unit.after(async () => {
          await quietly(platform, () => platform.logplex.removeDrain(row.id));
          platform.say(app.id, `Remove log drain ${row.token} by user ${actor.email}`);
        });
        return presentDrain(app, row, drainUrl(platform, row));
      }),
  }),
  defineEndpoint({
    resource: "log-drain",
    title: "Ledger",
    method: "GET",
    path: "/apps/{app}/log-drains/{log_drain}/ledger",
    verb: "read",
    summary: "Shows what became of a drain's messages: delivered, lost by cause, waiting.",
    response: z.record(z.string(), z.unknown()),
    handler: async ({ platform, app, params }) => {
      const { id } = await drainBy(platform, platform.db, app, params["log_drain"] ?? "");
      const { logplex } = platform;
      if (!logplex.ledger) throw new ApiError("not-implemented", "The log router keeps no ledger.");
      return {
        ...(logplex.ledger(id) as Record<string, unknown>),
        health: logplex.drainHealth?.(id) ?? null,
      };
    },
  }),
  defineEndpoint({
    resource: "log-drain",
    title: "Test",
    method: "POST",
    path: "/apps/{app}/log-drains/{log_drain}/test",
    verb: "operate",
    summary: "Sends one marked line through a drain and reports what happened.",
    response: z.record(z.string(), z.unknown()),
    handler: async ({ platform, app, params, preview }) => {
      const { id } = await drainBy(platform, platform.db, app, params["log_drain"] ?? "");
      if (!platform.logplex.testDrain)
        throw new ApiError("not-implemented", "The log router can't test drains.");
      return preview ? {} : ((await platform.logplex.testDrain(id)) as Record<string, unknown>);
    },
  }),
  defineEndpoint({
    resource: "log-session",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/log-sessions",
    verb: "operate",
    summary: "Gives a URL that reads an app's logs without credentials; it expires unused.",
    body: z.object({
      dyno: z.string().max(200).nullish(),
      dyno_name: z.string().max(200).nullish(),
      type: z.string().max(200).nullish(),
      source: z.string().max(200).nullish(),
      lines: z
        .union([
          z.int(),
          z
            .string()
            .regex(/^\d{1,9}$/)
            .transform(Number),
        ])
        .nullish(),
      tail: z.union([z.boolean(), z.stringbool()]).nullish(),
      query: z.string().max(4000).nullish(),
    }),
    bodyOptional: true,
    response: logSessionSchema,
    status: 201,
    handler: async ({ platform, app, body }) => {
      platform.logplex.channel?.(app.id);
      const lines = body.lines ?? undefined;
      if (lines !== undefined && lines < 0) throw invalid("lines", "lines can't be negative.");
      const dyno = body.dyno ?? body.dyno_name;
      const session = await platform.logplex.createSession(app.id, {
        ...(body.source ? { source: body.source } : {}),
        ...(dyno ? { dyno } : {}),
        ...(body.type ? { type: body.type } : {}),
        ...(body.query ? { query: body.query } : {}),
        lines: Math.min(lines ?? 100, 1500),
        tail: body.tail ?? false,
      });
      const now = presentTime(isoTime(platform.clock.now()));
      return {
        id: session.id,
        logplex_url: `${platform.publicUrl}/log-sessions/${encodeURIComponent(session.secret)}${body.tail ? "?tail=true" : ""}`,
        created_at: now,
        updated_at: now,
      };
    },
  }),
];
