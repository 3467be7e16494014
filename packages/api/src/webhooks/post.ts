import { lookup } from "node:dns";
import { type ClientRequest, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";

const privateAddresses = new BlockList();
for (const [address, prefix, family] of [
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.0.0.0", 24, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["224.0.0.0", 3, "ipv4"],
  ["::", 128, "ipv6"],
  ["::1", 128, "ipv6"],
  ["64:ff9b::", 96, "ipv6"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
] as const)
  privateAddresses.addSubnet(address, prefix, family);

/** Whether an address lies inside a machine or a private network. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, "");
  const family = isIP(bare);
  return family !== 0 && privateAddresses.check(bare, family === 6 ? "ipv6" : "ipv4");
}

/** How a POST went; `code` is the status of the answer, or null with the kind of failure. */
export interface PostResult {
  readonly code: number | null;
  readonly error: string | null;
}

const timeoutMs = 10_000;

/**
 * Posts JSON once. The address is checked after the name is resolved and is the one connected to,
 * so a name can't point to a public address first and to a private one then.
 */
export function postJson(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  options: { readonly allowPrivate: boolean; readonly signal: AbortSignal },
): Promise<PostResult> {
  const target = new URL(url);
  if (!options.allowPrivate && isPrivateAddress(target.hostname))
    return Promise.resolve({ code: null, error: "private-address" });
  const guarded: LookupFunction = (hostname, lookupOptions, done) =>
    lookup(hostname, { ...lookupOptions, all: true }, (error, addresses) => {
      const refused =
        !options.allowPrivate && addresses?.some((one) => isPrivateAddress(one.address));
      if (error || refused) {
        const reason = error ?? Object.assign(new Error("private"), { code: "private-address" });
        done(reason as NodeJS.ErrnoException, "", 4);
      } else if (lookupOptions.all) done(null, addresses as never, 4);
      else done(null, addresses[0]?.address ?? "", addresses[0]?.family ?? 4);
    });
  return new Promise((resolve) => {
    const send = target.protocol === "https:" ? httpsRequest : httpRequest;
    let call: ClientRequest;
    const fail = (error: unknown) =>
      resolve({ code: null, error: (error as NodeJS.ErrnoException).code ?? "error" });
    try {
      call = send(
        target,
        {
          method: "POST",
          agent: false,
          lookup: guarded,
          signal: AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]),
          headers: { ...headers, "content-length": Buffer.byteLength(body) },
        },
        (answer) => {
          resolve({ code: answer.statusCode ?? null, error: null });
          // Nothing of the answer counts but its status.
          answer.destroy();
        },
      );
    } catch (error) {
      return fail(error);
    }
    call.on("error", fail);
    call.end(body);
  });
}
