import { type LookupAddress, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { BuilderError } from "../errors.ts";

/** Resolves a name to all of its addresses. */
export type ResolveHost = (hostname: string) => Promise<readonly LookupAddress[]>;

const blocked = new BlockList();
for (const [address, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  blocked.addSubnet(address, prefix, "ipv4");
for (const [address, prefix] of [
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 9],
  ["ff00::", 8],
] as const)
  blocked.addSubnet(address, prefix, "ipv6");

/**
 * True for addresses of the public internet only: neither loopback, private, link-local (the
 * metadata services of clouds), multicast nor reserved, and no IPv6 form that carries an IPv4
 * address of those.
 */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return false;
  if (version === 4) return !blocked.check(address, "ipv4");
  const mapped = /^::ffff:(.+)$/i.exec(address)?.[1];
  // WHATWG URLs write the last two groups in hexadecimal; such an address is never needed.
  if (mapped !== undefined) return isIP(mapped) === 4 && !blocked.check(mapped, "ipv4");
  return !blocked.check(address, "ipv6");
}

/** The system's resolver. */
export const resolveHost: ResolveHost = (hostname) =>
  new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, addresses) =>
      error ? reject(error) : resolve(addresses),
    );
  });

/**
 * The addresses of a URL's host, all of them public.
 *
 * @throws BuilderError `unsafe-url` for another scheme or for any address that is not public;
 * `download-failed` when the name does not resolve
 */
export async function publicAddressesOf(
  url: URL,
  resolve: ResolveHost = resolveHost,
): Promise<readonly string[]> {
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new BuilderError("unsafe-url", `"${url.protocol}" URLs are not fetched. Use https.`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses =
    isIP(host) === 0
      ? await resolve(host).catch((cause: unknown) => {
          throw new BuilderError("download-failed", `The host "${host}" was not found.`, { cause });
        })
      : [{ address: host }];
  if (addresses.length === 0)
    throw new BuilderError("download-failed", `The host "${host}" has no address.`);
  for (const { address } of addresses)
    if (!isPublicAddress(address))
      throw new BuilderError(
        "unsafe-url",
        `"${host}" is on a private network (${address}) and is not fetched. Use a public address, or set \`allowPrivateNetworks\`.`,
      );
  return addresses.map(({ address }) => address);
}

/**
 * A lookup for sockets that yields nothing but addresses judged before: the name can't resolve
 * to another one between check and connection.
 */
export function pinnedLookup(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, options, callback) => {
    if (options.all) callback(null, all);
    else callback(null, all[0]!.address, all[0]!.family);
  };
}
