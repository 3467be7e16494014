import { z } from "zod";
import { presentTime } from "../clock.ts";
import { invalid, notFound } from "../errors.ts";
import { type Context, defineEndpoint, type Endpoint } from "../http/endpoint.ts";
import { type CertificateDetails, covers, readCertificate } from "../platform/certificates.ts";
import { reconcile } from "../platform/desired.ts";
import { appSchema, presentApp } from "../resources/app.ts";
import { reference, timestamp, uuid } from "../resources/common.ts";
import type { Queries } from "../store/store.ts";
import type { AppRow, CertificateRow } from "../store/tables.ts";

const sniSchema = z
  .strictObject({
    app: reference,
    certificate_chain: z.string(),
    created_at: timestamp,
    display_name: z.string().nullable(),
    domains: z.array(uuid),
    id: uuid,
    name: z.string(),
    ssl_cert: z.strictObject({
      acm: z.boolean(),
      "ca_signed?": z.boolean(),
      cert_domains: z.array(z.string()),
      expires_at: timestamp,
      id: uuid,
      issuer: z.string(),
      "self_signed?": z.boolean(),
      starts_at: timestamp,
      subject: z.string(),
    }),
    updated_at: timestamp,
  })
  .meta({ id: "sni-endpoint" });

async function present(queries: Queries, app: AppRow, row: CertificateRow) {
  const details = JSON.parse(row.details) as CertificateDetails;
  const domains = await queries
    .selectFrom("domains")
    .select("id")
    .where("sni_endpoint_id", "=", row.id)
    .execute();
  return {
    app: { id: app.id, name: app.name },
    certificate_chain: row.certificate_chain,
    created_at: presentTime(row.created_at),
    display_name: null,
    domains: domains.map(({ id }) => id),
    id: row.id,
    name: row.name,
    ssl_cert: {
      acm: false,
      "ca_signed?": !details.selfSigned,
      cert_domains: [...details.domains],
      expires_at: presentTime(details.expiresAt),
      id: row.id,
      issuer: details.issuer,
      "self_signed?": details.selfSigned,
      starts_at: presentTime(details.startsAt),
      subject: details.subject,
    },
    updated_at: presentTime(row.updated_at),
  };
}

async function certificateBy(queries: Queries, app: AppRow, key: string): Promise<CertificateRow> {
  const row = await queries
    .selectFrom("certificates")
    .selectAll()
    .where("app_id", "=", app.id)
    .where((expression) =>
      expression.or([expression("id", "=", key), expression("name", "=", key)]),
    )
    .executeTakeFirst();
  if (!row) throw notFound("sni_endpoint");
  return row;
}

const body = z.object({
  certificate_chain: z.string().min(1).max(262_144),
  private_key: z.string().min(1).max(65_536),
});

const words =
  "akita beagle boxer collie corgi hokkaido husky kishu kyoto nagoya nikko osaka sapporo shiba tosa yokohama".split(
    " ",
  );

const base = "/apps/{app}/sni-endpoints";
const shared = {
  resource: "sni-endpoint",
  response: sniSchema,
  stability: "development",
} as const;

async function setAcm(context: Context, on: boolean): Promise<unknown> {
  const { platform, app, write } = context;
  return await write(async (unit) => {
    const row: AppRow = { ...app, acm: on ? 1 : 0, updated_at: unit.now };
    await unit.tx
      .updateTable("apps")
      .set({ acm: row.acm, updated_at: unit.now })
      .where("id", "=", app.id)
      .execute();
    await unit.tx
      .updateTable("domains")
      .set({
        // Certificates are the business of the edge in front of this API; it is told by the flag.
        acm_status: on ? "pending" : null,
        acm_status_reason: null,
        updated_at: unit.now,
      })
      .where("app_id", "=", app.id)
      .where("kind", "=", "custom")
      .execute();
    const document = await presentApp(platform, unit.tx, row);
    unit.event({
      app: app.id,
      resource: "app",
      action: "update",
      data: document,
      previous: { acm: app.acm === 1 },
    });
    return document;
  });
}

export const certificateEndpoints: readonly Endpoint[] = [
  defineEndpoint({
    ...shared,
    title: "Create",
    method: "POST",
    path: base,
    verb: "operate",
    summary: "Adds a certificate; custom domains without one that it covers get it.",
    body,
    status: 201,
    handler: async ({ platform, app, body: input, write }) => {
      const details = readCertificate(input.certificate_chain, input.private_key);
      return await write(async (unit) => {
        const { tx, now } = unit;
        const existing = await tx
          .selectFrom("certificates")
          .select("name")
          .where("app_id", "=", app.id)
          .execute();
        if (existing.length >= 100)
          throw invalid("certificate_chain", "The app has 100 certificates, the most it can have.");
        const id = platform.uuid();
        const row: CertificateRow = {
          id,
          app_id: app.id,
          name: `${words[existing.length % words.length]}-${id.slice(0, 5)}`,
          certificate_chain: input.certificate_chain,
          sealed_key: platform.secrets.seal(input.private_key, `certificate:${id}`),
          details: JSON.stringify(details),
          created_at: now,
          updated_at: now,
        };
        await tx.insertInto("certificates").values(row).execute();
        const domains = await tx
          .selectFrom("domains")
          .selectAll()
          .where("app_id", "=", app.id)
          .where("kind", "=", "custom")
          .where("sni_endpoint_id", "is", null)
          .execute();
        for (const domain of domains)
          if (details.domains.some((name) => covers(name, domain.hostname)))
            await tx
              .updateTable("domains")
              .set({ sni_endpoint_id: id, updated_at: now })
              .where("id", "=", domain.id)
              .execute();
        const document = await present(tx, app, row);
        unit.event({
          app: app.id,
          resource: "sni-endpoint",
          action: "create",
          data: document,
        });
        unit.after(() => reconcile(platform, app.id));
        return document;
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "List",
    method: "GET",
    path: base,
    verb: "read",
    summary: "Lists the certificates of an app.",
    ranges: ["id", "name"],
    handler: async ({ platform, app }) => {
      const rows = await platform.db
        .selectFrom("certificates")
        .selectAll()
        .where("app_id", "=", app.id)
        .execute();
      return await Promise.all(rows.map((row) => present(platform.db, app, row)));
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Info",
    method: "GET",
    path: `${base}/{sni_endpoint}`,
    verb: "read",
    summary: "Shows a certificate, by id or name.",
    handler: async ({ platform, app, params }) =>
      await present(
        platform.db,
        app,
        await certificateBy(platform.db, app, params["sni_endpoint"] ?? ""),
      ),
  }),
  defineEndpoint({
    ...shared,
    title: "Update",
    method: "PATCH",
    path: `${base}/{sni_endpoint}`,
    verb: "operate",
    summary: "Replaces a certificate and its key.",
    body,
    handler: async ({ platform, app, params, body: input, write }) => {
      const details = readCertificate(input.certificate_chain, input.private_key);
      return await write(async (unit) => {
        const before = await certificateBy(unit.tx, app, params["sni_endpoint"] ?? "");
        const row: CertificateRow = {
          ...before,
          certificate_chain: input.certificate_chain,
          sealed_key: platform.secrets.seal(input.private_key, `certificate:${before.id}`),
          details: JSON.stringify(details),
          updated_at: unit.now,
        };
        await unit.tx.updateTable("certificates").set(row).where("id", "=", row.id).execute();
        const document = await present(unit.tx, app, row);
        unit.event({
          app: app.id,
          resource: "sni-endpoint",
          action: "update",
          data: document,
        });
        unit.after(() => reconcile(platform, app.id));
        return document;
      });
    },
  }),
  defineEndpoint({
    ...shared,
    title: "Delete",
    method: "DELETE",
    path: `${base}/{sni_endpoint}`,
    verb: "operate",
    summary: "Removes a certificate.",
    handler: async ({ platform, app, params, write }) =>
      await write(async (unit) => {
        const row = await certificateBy(unit.tx, app, params["sni_endpoint"] ?? "");
        const document = await present(unit.tx, app, row);
        await unit.tx
          .updateTable("domains")
          .set({ sni_endpoint_id: null, updated_at: unit.now })
          .where("sni_endpoint_id", "=", row.id)
          .execute();
        await unit.tx.deleteFrom("certificates").where("id", "=", row.id).execute();
        unit.event({
          app: app.id,
          resource: "sni-endpoint",
          action: "destroy",
          data: document,
        });
        unit.after(() => reconcile(platform, app.id));
        return document;
      }),
  }),
  ...(
    [
      ["POST", "Enable ACM", true],
      ["PATCH", "Refresh ACM", true],
      ["DELETE", "Disable ACM", false],
    ] as const
  ).map(([method, title, on]) =>
    defineEndpoint({
      resource: "app",
      title,
      method,
      path: "/apps/{app}/acm",
      verb: "operate",
      summary: "Says whether the certificates of custom domains are to be got automatically.",
      response: appSchema,
      handler: async (context) => await setAcm(context, on),
    }),
  ),
];
