import type { Token } from "../token/tokens.ts";

const RESERVED = new Set(["router", "api", "logplex"]);

/**
 * The procid that a token may write: letters, digits, `_`, `.` and `-`, at most 128, and none of the
 * platform's own names unless the token is privileged (spec/logplex.md §13.3). What doesn't fit is
 * replaced by `_`; a reserved name gets a leading `_`.
 */
export function safeProcid(procid: string, token: Token): string {
  if (procid === "") return "";
  const safe = /^[\w.-]{1,128}$/.test(procid)
    ? procid
    : procid.replace(/[^\w.-]/g, "_").slice(0, 128);
  return RESERVED.has(safe) && !token.privileged ? `_${safe}` : safe;
}
