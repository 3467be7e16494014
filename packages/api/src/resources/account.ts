import { z } from "zod";
import { presentTime } from "../clock.ts";
import type { AccountRow } from "../store/tables.ts";
import { reference, timestamp, uuid } from "./common.ts";

export const accountSchema = z
  .strictObject({
    allow_tracking: z.boolean(),
    beta: z.boolean(),
    country_of_residence: z.string().nullable(),
    created_at: timestamp,
    default_organization: reference.nullable(),
    default_team: reference.nullable(),
    delinquent_at: timestamp.nullable(),
    email: z.string(),
    federated: z.boolean(),
    id: uuid,
    identity_provider: z.null(),
    last_login: timestamp.nullable(),
    mfa_enabled: z.boolean(),
    name: z.string().nullable(),
    sms_number: z.string().nullable(),
    suspended_at: timestamp.nullable(),
    two_factor_authentication: z.boolean(),
    updated_at: timestamp,
    verified: z.boolean(),
    acknowledged_msa: z.boolean(),
    acknowledged_msa_at: timestamp.nullable(),
    eco_dynos_enabled: z.boolean(),
    eco_dynos_shutdown_at: timestamp.nullable(),
    italian_customer_terms: z.string().nullable(),
    italian_partner_terms: z.string().nullable(),
    mfa_exemption: z.string().nullable(),
    mfa_exemption_reason: z.string().nullable(),
    mfa_experience: z.string().nullable(),
    pipeline_cost_consent_at: timestamp.nullable(),
  })
  .meta({ id: "account" });

const time = (value: string | null) => (value === null ? null : presentTime(value));

export function presentAccount(row: AccountRow): z.output<typeof accountSchema> {
  return {
    allow_tracking: row.allow_tracking === 1,
    beta: row.beta === 1,
    country_of_residence: null,
    created_at: presentTime(row.created_at),
    default_organization: null,
    default_team: null,
    delinquent_at: null,
    email: row.email,
    federated: false,
    id: row.id,
    identity_provider: null,
    last_login: time(row.last_login),
    mfa_enabled: false,
    name: row.name,
    sms_number: null,
    suspended_at: time(row.suspended_at),
    two_factor_authentication: false,
    updated_at: presentTime(row.updated_at),
    verified: true,
    acknowledged_msa: false,
    acknowledged_msa_at: null,
    eco_dynos_enabled: false,
    eco_dynos_shutdown_at: null,
    italian_customer_terms: null,
    italian_partner_terms: null,
    mfa_exemption: null,
    mfa_exemption_reason: null,
    mfa_experience: null,
    pipeline_cost_consent_at: null,
  };
}
