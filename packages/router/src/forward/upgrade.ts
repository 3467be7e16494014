import { F } from "../codec/field-names.ts";
import type { Head } from "../codec/head.ts";
import type { RequestMeaning } from "../codec/request.ts";

/** The protocol that a 101 switches to, or null when that was not asked for (spec/router.md §10). */
export function startTunnelCheck(request: RequestMeaning, head: Head): string | null {
  if (request.upgrade === null) return null;
  const answer = head.get(F.upgrade);
  if (answer === undefined || answer === "") return null;
  const offered = request.upgrade.split(",").map((protocol) => protocol.trim().toLowerCase());
  const chosen = answer.split(",").map((protocol) => protocol.trim().toLowerCase());
  return chosen.every((protocol) => offered.includes(protocol)) ? answer : null;
}
