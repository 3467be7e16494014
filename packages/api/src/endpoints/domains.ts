import { domainToASCII } from "node:url";
import { z } from "zod";
import { invalid, notFound } from "../errors.ts";
import { defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { reconcile } from "../platform/desired.ts";
import { identity } from "../resources/common.ts";
import { domainSchema, presentDomain } from "../resources/domain.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, CertificateRow, DomainRow } from "../store/tables.ts";
import { changedFields } from "./apps.ts";

const sniInput = z
  .union([identity, z.object({ id: identity.optional(), name: identity.optional() })])
  .nullish();

/** Lower case, punycode, no trailing dot. @throws ApiError `invalid-params` */
export function normaliseHostname(text: string): string {
  const trimmed = text.trim().toLowerCase().replace(/\.$/, "");
  const wildcard = trimmed.startsWith("*.");
  const name = domainToASCII(wildcard ? trimmed.slice(2) : trimmed);
  const labels = name.split(".");
  const good =
    name.length > 0 &&
    name.length <= 253 &&
    labels.length >= 2 &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? "");
  if (!good)
    throw invalid(
      "hostname",
      `${JSON.stringify(text.slice(0, 255))} is not a fully qualified hostname such as www.example.com or *.example.com.`,
    );
  return wildcard ? `*.${name}` : name;
}

async function certificatesOf(queries: Queries, app: AppRow): Promise<CertificateRow[]> {
  return await queries
    .selectFrom("certificates")
    .selectAll()
    .where("app_id", "=", app.id)
    .execute();
}

async function present(queries: Queries, app: AppRow, rows: readonly DomainRow[]) {
  const certificates = await certificatesOf(queries, app);
  return rows.map((row) =>
    presentDomain(
      app,
      row,
      certificates.find(({ id }) => id === row.sni_endpoint_id),
    ),
  );
}

async function presentOne(queries: Queries, app: AppRow, row: DomainRow) {
  const [document] = await present(queries, app, [row]);
  return document as z.output<typeof domainSchema>;
}

async function domainBy(queries: Queries, app: AppRow, key: string): Promise<DomainRow> {
  const row = await queries
    .selectFrom("domains")
    .selectAll()
    .where("app_id", "=", app.id)
    .where((expression) =>
      expression.or([expression("id", "=", key), expression("hostname", "=", key.toLowerCase())]),
    )
    .executeTakeFirst();
  if (!row) throw notFound("domain");
  return row;
}

async function certificateId(
  queries: Queries,
  app: AppRow,
  input: z.output<typeof sniInput>,
): Promise<string | null> {
  if (input === null || input === undefined) return null;
  const key = typeof input === "string" ? input : (input.id ?? input.name);
  const found = (await certificatesOf(queries, app)).find(
    ({ id, name }) => id === key || name === key,
  );
  if (!found) throw invalid("sni_endpoint", "The app has no such sni_endpoint.");
  return found.id;
}

export const domainEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    resource: "domain",
    title: "Create",
    method: "POST",
    path: "/apps/{app}/domains",
    verb: "operate",
    summary: "Sends the requests of a hostname to an app.",
    body: z.object({ hostname: z.string().min(1).max(255), sni_endpoint: sniInput }),
    response: domainSchema,
    status: 201,
    handler: async ({ platform, app, body, write, actor }) => {
      const hostname = normaliseHostname(body.hostname);
      return await write(async (unit) => {
        const { tx, now } = unit;
        const taken = await tx
          .selectFrom("domains")
          .select("app_id")
          .where("hostname", "=", hostname)
          .executeTakeFirst();
        if (taken || hostname === platform.appDomain)
          throw invalid(
            "hostname",
            `${hostname} is currently in use by ${taken?.app_id === app.id ? "this" : "another"} app.`,
          );
        if (hostname.endsWith(`.${platform.appDomain}`))
          throw invalid(
            "hostname",
            `${hostname} is under ${platform.appDomain}, whose names belong to apps. Name or rename an app instead.`,
          );
        const row: DomainRow = {
          id: platform.uuid(),
          app_id: app.id,
          hostname,
          kind: "custom",
          cname: `${app.name}.${platform.appDomain}`,
          status: "none",
          acm_status: null,
          acm_status_reason: null,
          sni_endpoint_id: await certificateId(tx, app, body.sni_endpoint),
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("domains").values(row).execute();
        const document = await presentOne(tx, app, row);
        unit.event({ app: app.id, resource: "domain", action: "create", data: document });
        unit.after(async () => {
          platform.say(app.id, `Add ${hostname} domain by user ${actor.email}`);
          await reconcile(platform, app.id);
        });
        return document;
      });
    },
  }),
  defineEndpoint({
    resource: "domain",
    title: "List",
    method: "GET",
    path: "/apps/{app}/domains",
    verb: "read",
    summary: "Lists the hostnames of an app.",
    response: domainSchema,
    ranges: ["id", "hostname"],
    handler: async ({ platform, app }) =>
      await present(
        platform.db,
        app,
        await platform.db
          .selectFrom("domains")
          .selectAll()
          .where("app_id", "=", app.id)
          .orderBy("hostname")
          .execute(),
      ),
  }),
  defineEndpoint({
    resource: "domain",
    title: "Info",
    method: "GET",
    path: "/apps/{app}/domains/{domain}",
    verb: "read",
    summary: "Shows a hostname of an app, by id or hostname.",
    response: domainSchema,
    handler: async ({ platform, app, params }) =>
      await presentOne(platform.db, app, await domainBy(platform.db, app, params["domain"] ?? "")),
  }),
  defineEndpoint({
    resource: "domain",
    title: "Update",
    method: "PATCH",
    path: "/apps/{app}/domains/{domain}",
    verb: "operate",
    summary: "Sets the certificate of a hostname.",
    body: z.object({ sni_endpoint: sniInput }),
    response: domainSchema,
    handler: async ({ platform, app, params, body, write }) =>
      await write(async (unit) => {
        const before = await domainBy(unit.tx, app, params["domain"] ?? "");
        const row: DomainRow = {
          ...before,
          sni_endpoint_id:
            body.sni_endpoint === undefined
              ? before.sni_endpoint_id
              : await certificateId(unit.tx, app, body.sni_endpoint),
          updated_at: unit.now,
        };
        await unit.tx
          .updateTable("domains")
          .set({ sni_endpoint_id: row.sni_endpoint_id, updated_at: unit.now })
          .where("id", "=", row.id)
          .execute();
        const document = await presentOne(unit.tx, app, row);
        unit.event({
          app: app.id,
          resource: "domain",
          action: "update",
          data: document,
          previous: changedFields(await presentOne(unit.tx, app, before), document),
        });
        unit.after(() => reconcile(platform, app.id));
        return document;
      }),
  }),
  defineEndpoint({
    resource: "domain",
    title: "Delete",
    method: "DELETE",
    path: "/apps/{app}/domains/{domain}",
    verb: "operate",
    summary: "Takes a custom hostname from an app.",
    response: domainSchema,
    handler: async ({ platform, app, params, write, actor }) =>
      await write(async (unit) => {
        const row = await domainBy(unit.tx, app, params["domain"] ?? "");
        if (row.kind === "heroku")
          throw invalid(
            "domain",
            `${row.hostname} is the app's own hostname and can't be removed.`,
          );
        const document = await presentOne(unit.tx, app, row);
        await unit.tx.deleteFrom("domains").where("id", "=", row.id).execute();
        unit.event({ app: app.id, resource: "domain", action: "destroy", data: document });
        unit.after(async () => {
          platform.say(app.id, `Remove ${row.hostname} domain by user ${actor.email}`);
          await reconcile(platform, app.id);
        });
        return document;
      }),
  }),
];
