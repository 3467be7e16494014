import { ApiError } from "../errors.ts";
import type { Verb } from "../http/endpoint.ts";

/** What a token may do: each entry a scope, or a scope of one app as `deploy@<app id>`. */
export interface Grant {
  readonly authorizationId: string | null;
  readonly scopes: readonly string[];
}

/**
 * The first five and `global` are Heroku's; the others are narrower and ours. A scope followed by
 * `@` and an app counts for that app alone.
 */
export const scopeVerbs: Readonly<Record<string, readonly Verb[]>> = {
  global: ["identity", "read", "config:read", "config:write", "deploy", "operate", "manage"],
  identity: ["identity"],
  read: ["identity", "read"],
  write: ["identity", "read", "deploy", "operate"],
  "read-protected": ["identity", "read", "config:read"],
  "write-protected": ["identity", "read", "config:read", "config:write", "deploy", "operate"],
  deploy: ["read", "deploy"],
  operate: ["read", "operate"],
  "config:read": ["config:read"],
  "config:write": ["config:read", "config:write"],
};

/** Name of a scope and the app it is confined to. */
export function splitScope(entry: string): { readonly name: string; readonly app?: string } {
  const at = entry.indexOf("@");
  return at < 0 ? { name: entry } : { name: entry.slice(0, at), app: entry.slice(at + 1) };
}

/** @throws ApiError `invalid-params` for a scope that does not exist. */
export function checkScopes(scopes: readonly string[]): void {
  for (const entry of scopes) {
    const { name } = splitScope(entry);
    if (!Object.hasOwn(scopeVerbs, name))
      throw new ApiError(
        "invalid-params",
        `There is no scope ${JSON.stringify(name)}. Use ${Object.keys(scopeVerbs).join(", ")}, each with @<app> at its end for one app.`,
        { errors: [{ pointer: "/scope", message: `unknown scope ${JSON.stringify(name)}` }] },
      );
  }
}

/** Whether a grant allows `verb`, for an app or outside any. */
export function allows(grant: Grant, verb: Verb, appId?: string): boolean {
  return grant.scopes.some((entry) => {
    const { name, app } = splitScope(entry);
    if (app !== undefined && app !== appId) return false;
    return scopeVerbs[name]?.includes(verb) ?? false;
  });
}

/** Whether a grant is confined to some apps, so lists show only those. */
export function visibleApps(grant: Grant): ReadonlySet<string> | undefined {
  const entries = grant.scopes.map(splitScope);
  if (entries.some((entry) => entry.app === undefined && entry.name !== "identity"))
    return undefined;
  return new Set(entries.flatMap((entry) => entry.app ?? []));
}

/** A new token must not be allowed more than the one that makes it. */
export function contains(grant: Grant, wanted: readonly string[]): boolean {
  return wanted.every((entry) => {
    const { name, app } = splitScope(entry);
    return scopeVerbs[name]?.every((verb) => allows(grant, verb, app)) ?? false;
  });
}
