import { isoTime } from "../clock.ts";
import { ApiError } from "../errors.ts";
import type { Platform } from "../platform/platform.ts";
import { sha256, verifyPassword } from "../secrets.ts";
import { prepare } from "../store/prepare.ts";
import type { AccountRow } from "../store/tables.ts";
import type { Grant } from "./scopes.ts";

/** An account and what the presented token may do. */
export interface Identity {
  readonly account: AccountRow;
  readonly grant: Grant;
}

/** What a request carries in its `Authorization` header. */
export interface Credentials {
  /** A bearer token, or the password of Basic with any user name. */
  readonly token: string;
  /** User name of Basic. */
  readonly user: string | undefined;
}

/** Reads the header; `undefined` when there is none or it has another form. */
export function credentialsOf(headers: Headers): Credentials | undefined {
  const header = headers.get("authorization")?.trim() ?? "";
  const match = /^(bearer|basic)\s+(\S+)$/i.exec(header);
  if (!match) return undefined;
  const value = match[2] as string;
  if (match[1]?.toLowerCase() === "bearer") return { token: value, user: undefined };
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  // `curl -u token:` puts the token in the place of the user name.
  if (colon < 0) return { token: text, user: undefined };
  const [user, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return password === "" ? { token: user, user: undefined } : { token: password, user };
}

/** The answer to every request whose credentials are absent, unknown, expired or revoked. */
export function unauthorized(): ApiError {
  return new ApiError("unauthorized", "Invalid credentials provided.", {
    headers: { "WWW-Authenticate": 'Bearer realm="api", Basic realm="api"' },
  });
}

const useInterval = 60_000;

const byToken = prepare((queries, { hash }: { readonly hash: string }) =>
  queries
    .selectFrom("authorizations")
    .innerJoin("accounts", "accounts.id", "authorizations.account_id")
    .selectAll("accounts")
    .select([
      "authorizations.id as authorization_id",
      "authorizations.scope",
      "authorizations.expires_at",
      "authorizations.last_used_at",
    ])
    .where("authorizations.token_hash", "=", hash),
);

/** Finds whose token it is. Tokens are looked up by their hash, so time tells nothing of them. */
export async function authenticateToken(
  platform: Platform,
  token: string,
): Promise<Identity | undefined> {
  if (token.length < 16 || token.length > 512) return undefined;
  const found = await byToken.first(platform.db, { hash: sha256(token) });
  if (!found) return undefined;
  const { authorization_id: id, scope, expires_at, last_used_at, ...account } = found;
  if (expires_at !== null && expires_at <= platform.now()) return undefined;
  if (account.suspended_at !== null)
    throw new ApiError("suspended", "This account is suspended. Ask the operator of the platform.");
  if (last_used_at === null || platform.clock.now() - Date.parse(last_used_at) > useInterval)
    platform.background("noting the use of a token", async () => {
      await platform.db
        .updateTable("authorizations")
        .set({ last_used_at: isoTime(platform.clock.now()) })
        .where("id", "=", id)
        .execute();
    });
  return {
    account,
    grant: { authorizationId: id, scopes: JSON.parse(scope) as string[] },
  };
}

/** Checks an e-mail and its password; takes the same time whether or not the account exists. */
export async function authenticatePassword(
  platform: Platform,
  email: string,
  password: string,
): Promise<AccountRow | undefined> {
  const account = await platform.db
    .selectFrom("accounts")
    .selectAll()
    .where("email", "=", email.toLowerCase())
    .executeTakeFirst();
  const good = await verifyPassword(password, account?.password_hash ?? null);
  if (!good || !account) return undefined;
  if (account.suspended_at !== null)
    throw new ApiError("suspended", "This account is suspended. Ask the operator of the platform.");
  return account;
}
