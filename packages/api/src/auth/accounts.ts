import { z } from "zod";
import { isoTime } from "../clock.ts";
import { ApiError, notFound } from "../errors.ts";
import type { Context } from "../http/endpoint.ts";
import { type Platform, systemActor, type Unit } from "../platform/platform.ts";
import { hashPassword, sha256 } from "../secrets.ts";
import type { AccountRow, AuthorizationRow } from "../store/tables.ts";
import { checkScopes, splitScope } from "./scopes.ts";

/** Lower-case e-mail, at most 254 characters. */
export const emailSchema = z
  .string()
  .max(254)
  .regex(/^[^\s@:]+@[^\s@:]+$/, "is not an e-mail address")
  .transform((email) => email.toLowerCase());

/** Options of {@link createAccount}. */
export interface NewAccount {
  readonly email: string;
  readonly name?: string;
  /** At least 8 characters; without one the account has tokens only. */
  readonly password?: string;
  /** Sees and may change every app. */
  readonly admin?: boolean;
}

/** @throws ApiError `invalid-params` when the e-mail is taken or a value is not acceptable. */
export async function createAccount(
  platform: Platform,
  input: NewAccount,
  write: Context["write"] = (run) => platform.write(systemActor, run),
): Promise<AccountRow> {
  const email = emailSchema.safeParse(input.email);
  if (!email.success)
    throw new ApiError(
      "invalid-params",
      `${JSON.stringify(input.email)} is not an e-mail address.`,
    );
  if (input.password !== undefined) checkPassword(input.password);
  const passwordHash = input.password === undefined ? null : await hashPassword(input.password);
  return await write(async ({ tx, now, event }) => {
    const taken = await tx
      .selectFrom("accounts")
      .select("id")
      .where("email", "=", email.data)
      .executeTakeFirst();
    if (taken) throw new ApiError("invalid-params", `There is an account ${email.data} already.`);
    const row: AccountRow = {
      id: platform.uuid(),
      email: email.data,
      name: input.name ?? null,
      password_hash: passwordHash,
      admin: input.admin ? 1 : 0,
      allow_tracking: 0,
      beta: 0,
      last_login: null,
      suspended_at: null,
      created_at: now,
      updated_at: now,
    };
    await tx.insertInto("accounts").values(row).execute();
    event({ resource: "account", action: "create", data: { id: row.id, email: row.email } });
    return row;
  });
}

/** 8 to 500 characters. */
export const passwordSchema = z.string().min(8).max(500);

/** @throws ApiError `invalid-params` */
export function checkPassword(password: string): void {
  if (!passwordSchema.safeParse(password).success)
    throw new ApiError("invalid-params", "A password has 8 to 500 characters.");
}

/**
 * Gives an account a password. Its tokens stay valid: revoke those that should not.
 *
 * @throws ApiError `invalid-params` for a password of fewer than 8 or more than 500 characters
 */
export async function setPassword(
  platform: Platform,
  account: Pick<AccountRow, "id" | "email">,
  password: string,
): Promise<void> {
  checkPassword(password);
  const passwordHash = await hashPassword(password);
  await platform.write(systemActor, async ({ tx, now, event }) => {
    await tx
      .updateTable("accounts")
      .set({ password_hash: passwordHash, updated_at: now })
      .where("id", "=", account.id)
      .execute();
    event({
      resource: "account",
      action: "update",
      data: { id: account.id, email: account.email, password_changed: true },
    });
  });
}

/** @throws ApiError `not-found` */
export async function accountBy(platform: Platform, key: string): Promise<AccountRow> {
  const row = await platform.db
    .selectFrom("accounts")
    .selectAll()
    .where((expression) =>
      expression.or([expression("id", "=", key), expression("email", "=", key.toLowerCase())]),
    )
    .executeTakeFirst();
  if (!row) throw notFound("account");
  return row;
}

/** What a new token is to be. */
export interface NewAuthorization {
  readonly description?: string;
  readonly scope: readonly string[];
  /** Seconds; absent or null: no end. */
  readonly expiresIn?: number | null;
  readonly clientId?: string | null;
  readonly refresh?: boolean;
}

/** A stored authorization with the secrets that exist only now. */
export interface IssuedAuthorization {
  readonly row: AuthorizationRow;
  readonly token: string;
  readonly refreshToken: string | undefined;
  /** For the program that the authorization is for, to trade it for tokens of its own. */
  readonly code: string | undefined;
}

const grantMs = 5 * 60_000;

/** Characters of a token that may be shown later. */
export const shownPrefix = 10;

/** A token as it is handed out: recognisable by secret scanners. */
export function newToken(platform: Platform): string {
  return `HRKU-${platform.uuid()}-${platform.capability()}`;
}

/** Names of apps in scopes become ids, so that a rename neither widens nor breaks a token. */
async function resolveScopes(unit: Unit, scopes: readonly string[]): Promise<string[]> {
  checkScopes(scopes);
  const resolved: string[] = [];
  for (const entry of scopes) {
    const { name, app } = splitScope(entry);
    if (app === undefined) {
      resolved.push(name);
      continue;
    }
    const row = await unit.tx
      .selectFrom("apps")
      .select("id")
      .where((expression) =>
        expression.or([expression("id", "=", app), expression("name", "=", app)]),
      )
      .executeTakeFirst();
    if (!row)
      throw new ApiError("invalid-params", `The scope ${entry} names an app that does not exist.`, {
        errors: [{ pointer: "/scope", message: "names an app that does not exist" }],
      });
    resolved.push(`${name}@${row.id}`);
  }
  return resolved;
}

/** Makes an authorization with its token in a transaction. */
export async function issue(
  platform: Platform,
  unit: Unit,
  accountId: string,
  input: NewAuthorization,
): Promise<IssuedAuthorization> {
  const token = newToken(platform);
  const refreshToken = input.refresh ? newToken(platform) : undefined;
  const code = input.clientId ? platform.capability() : undefined;
  const expires = input.expiresIn ?? null;
  const row: AuthorizationRow = {
    id: platform.uuid(),
    account_id: accountId,
    description: input.description ?? "",
    scope: JSON.stringify(await resolveScopes(unit, input.scope)),
    client_id: input.clientId ?? null,
    token_id: platform.uuid(),
    token_hash: sha256(token),
    token_prefix: token.slice(0, shownPrefix),
    expires_at: expires === null ? null : isoTime(platform.clock.now() + expires * 1000),
    refresh_id: refreshToken === undefined ? null : platform.uuid(),
    refresh_hash: refreshToken === undefined ? null : sha256(refreshToken),
    grant_id: code === undefined ? null : platform.uuid(),
    grant_hash: code === undefined ? null : sha256(code),
    grant_expires_at: code === undefined ? null : isoTime(platform.clock.now() + grantMs),
    last_used_at: null,
    created_at: unit.now,
    updated_at: unit.now,
  };
  await unit.tx.insertInto("authorizations").values(row).execute();
  unit.event({
    resource: "oauth-authorization",
    action: "create",
    data: { id: row.id, description: row.description, scope: JSON.parse(row.scope) },
  });
  return { row, token, refreshToken, code };
}
