import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { AppRow, DomainRow, DrainRow } from "../store/tables.ts";
import { reference, timestamp, uuid } from "./common.ts";

export const domainSchema = z
  .strictObject({
    acm_status: z.string().nullable(),
    acm_status_reason: z.string().nullable(),
    app: reference,
    cname: z.string().nullable(),
    created_at: timestamp,
    hostname: z.string(),
    id: uuid,
    kind: z.enum(["heroku", "custom"]),
    sni_endpoint: reference.nullable(),
    status: z.string(),
    updated_at: timestamp,
  })
  .meta({ id: "domain" });

export function presentDomain(
  app: AppRow,
  row: DomainRow,
  certificate: { readonly id: string; readonly name: string } | undefined,
): z.output<typeof domainSchema> {
  return {
    acm_status: row.acm_status,
    acm_status_reason: row.acm_status_reason,
    app: { id: app.id, name: app.name },
    cname: row.cname,
    created_at: presentTime(row.created_at),
    hostname: row.hostname,
    id: row.id,
    kind: row.kind as "heroku" | "custom",
    sni_endpoint: certificate ? { id: certificate.id, name: certificate.name } : null,
    status: row.status,
    updated_at: presentTime(row.updated_at),
  };
}

export const drainSchema = z
  .strictObject({
    addon: z.null(),
    app: reference.nullable(),
    created_at: timestamp,
    id: uuid,
    token: z.string(),
    updated_at: timestamp,
    url: z.string(),
  })
  .meta({ id: "log-drain" });

export function presentDrain(
  app: AppRow,
  row: DrainRow,
  url: string,
): z.output<typeof drainSchema> {
  return {
    addon: null,
    app: { id: app.id, name: app.name },
    created_at: presentTime(row.created_at),
    id: row.id,
    token: row.token,
    updated_at: presentTime(row.updated_at),
    url,
  };
}

export const logSessionSchema = z
  .strictObject({ created_at: timestamp, id: uuid, logplex_url: z.string(), updated_at: timestamp })
  .meta({ id: "log-session" });
