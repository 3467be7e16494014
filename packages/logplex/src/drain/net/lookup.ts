import { lookup as systemLookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { type DrainPolicy, refusedAddress } from "./policy.ts";

/** One answer of name resolution. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Name → addresses; inject one to test without DNS. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;

/** Resolution by the system. */
export const systemResolve: Resolve = async (host) => {
  const answers = await systemLookup(host, { all: true, verbatim: true });
  return answers.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};

/** A connection that the policy forbids; `reason` is safe to show. */
export class BlockedAddress extends Error {
  readonly code = "EBLOCKED";
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Resolves a host and throws {@link BlockedAddress} if *any* answer is forbidden, so that a name
 * can't mix a public address with an internal one.
 */
export async function resolveChecked(
  host: string,
  policy: DrainPolicy,
  resolve: Resolve,
): Promise<readonly ResolvedAddress[]> {
  const bare = host.replace(/^\[|\]$/g, "");
  const family = isIP(bare);
  const answers =
    family === 0
      ? await resolve(bare)
      : [{ address: bare, family: family === 6 ? (6 as const) : (4 as const) }];
  if (answers.length === 0) {
    throw Object.assign(new Error(`${bare} has no address`), { code: "ENOTFOUND" });
  }
  for (const { address } of answers) {
    const reason = refusedAddress(policy, bare, address);
    if (reason) throw new BlockedAddress(reason);
  }
  return answers;
}

/**
 * A `lookup` hook that answers with addresses checked before: the socket can only connect to
 * what was checked, even if the name changes its mind in between (DNS rebinding).
 */
export function pinnedLookup(answers: readonly ResolvedAddress[]): LookupFunction {
  return (_host, options, callback) => {
    const family = options.family === "IPv4" ? 4 : options.family === "IPv6" ? 6 : options.family;
    const fitting = answers.filter((answer) => !family || answer.family === family);
    const first = fitting[0];
    if (!first) {
      const error: NodeJS.ErrnoException = new Error("no address of this family");
      error.code = "ENOTFOUND";
      callback(error, options.all ? [] : "", 0);
      return;
    }
    if (options.all) callback(null, [...fitting]);
    else callback(null, first.address, first.family);
  };
}
