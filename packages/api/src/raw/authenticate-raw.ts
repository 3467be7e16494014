import {
  authenticateToken,
  credentialsOf,
  type Identity,
  unauthorized,
} from "../auth/authenticate.ts";
import { allows } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import { tooMany } from "../http/dispatch.ts";
import type { Verb } from "../http/endpoint.ts";
import { withCookieCredentials } from "./console.ts";
import type { RawCall } from "./raw-route.ts";

/** Finds the account of a raw request and checks one right of its token outside any app. */
export async function authenticateRaw(call: RawCall, verb: Verb): Promise<Identity> {
  const { platform, request, address } = call;
  if (platform.addressLimit.remaining(address) < 1) throw tooMany("address");
  const credentials = credentialsOf(withCookieCredentials(request));
  const identity = credentials && (await authenticateToken(platform, credentials.token));
  if (!identity) {
    if (credentials) platform.addressLimit.take(address);
    throw unauthorized();
  }
  const { id } = identity.account;
  const allowed = platform.accountLimit.take(id);
  call.answerHeaders["RateLimit-Remaining"] = String(platform.accountLimit.remaining(id));
  if (!allowed) throw tooMany("account");
  if (!allows(identity.grant, verb) && !identity.grant.scopes.some((scope) => scope.includes("@")))
    throw new ApiError("forbidden", `This token may not ${verb}.`);
  return identity;
}
