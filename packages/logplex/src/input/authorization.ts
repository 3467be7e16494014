import type { Credentials, Permission } from "../token/credentials.ts";
import type { Token, Tokens } from "../token/tokens.ts";

/** Who sends a request. */
export type Caller =
  | { readonly kind: "token"; readonly token: Token }
  | {
      readonly kind: "credential";
      readonly id: string;
      readonly permissions: ReadonlySet<Permission>;
    };

/** Reads `Basic token:t.…`, `Basic id:password` and `Bearer t.…`; undefined when it names nobody. */
export function authenticate(
  header: string | undefined,
  tokens: Tokens,
  credentials: Credentials,
): Caller | undefined {
  const match = /^(basic|bearer) +([\x21-\x7e]{1,4096}) *$/i.exec(header ?? "");
  if (match === null) return undefined;
  const value = match[2]!;
  if (match[1]!.toLowerCase() === "bearer") return byToken(value, tokens);
  const decoded = Buffer.from(value, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon === -1) return undefined;
  const id = decoded.slice(0, colon);
  const password = decoded.slice(colon + 1);
  if (id === "token") return byToken(password, tokens);
  const permissions = credentials.check(id, password);
  return permissions === undefined ? undefined : { kind: "credential", id, permissions };
}

function byToken(id: string, tokens: Tokens): Caller | undefined {
  const token = tokens.find(id);
  return token === undefined ? undefined : { kind: "token", token };
}
