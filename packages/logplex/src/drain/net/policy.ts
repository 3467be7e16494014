import { isIP, isIPv4 } from "node:net";
import { classifyAddress, hasPrefix, parseV4, parseV6 } from "./address.ts";

/** What the operator lets drains reach (spec/logplex.md §13.1). Everything is off by default. */
export interface DrainPolicy {
  /** Plain `http:` and its relatives; default false. */
  readonly allowInsecure?: boolean;
  /** Loopback, private and other addresses that are not public; default false. */
  readonly allowPrivate?: boolean;
  /**
   * Internal collectors that are fine though private: host names, `*.suffix`, addresses or
   * networks such as `10.1.0.0/16`.
   */
  readonly allowHosts?: readonly string[];
  /** `file:` and `stdout:` drains; default false. */
  readonly allowLocal?: boolean;
  /** `syslog+tls://…#insecure`, which verifies no certificate; default false. */
  readonly allowUnverified?: boolean;
  /** Ports no drain may use; default {@link DENIED_PORTS}. */
  readonly deniedPorts?: readonly number[];
}

/** Ports of services that an HTTP or syslog request could be smuggled into. */
export const DENIED_PORTS: readonly number[] = Object.freeze([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
  103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445,
  465, 512, 513, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 636, 873, 989, 990, 993,
  995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190,
  5060, 5061, 5432, 5900, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 10080,
  10250, 11211, 27017,
]);

/** Why the policy refuses a port; undefined when it is fine. */
export function refusedPort(policy: DrainPolicy, port: number): string | undefined {
  return (policy.deniedPorts ?? DENIED_PORTS).includes(port)
    ? `port ${port} is not allowed for drains`
    : undefined;
}

/** Why the policy refuses to connect to an address that a host name led to. */
export function refusedAddress(
  policy: DrainPolicy,
  host: string,
  address: string,
): string | undefined {
  if (policy.allowPrivate) return undefined;
  const kind = classifyAddress(address);
  if (kind === undefined) return undefined;
  if (policy.allowHosts?.some((entry) => covers(entry, host, address))) return undefined;
  // The address itself is left out: it would tell a user about the inside of the network.
  return `its address is ${kind}, which is not allowed`;
}

function covers(entry: string, host: string, address: string): boolean {
  const lower = entry.toLowerCase();
  if (lower === host.toLowerCase() || lower === address) return true;
  if (lower.startsWith("*.")) return host.toLowerCase().endsWith(lower.slice(1));
  const slash = lower.indexOf("/");
  if (slash < 0) return false;
  const network = lower.slice(0, slash);
  const bits = Number(lower.slice(slash + 1));
  if (isIP(network) === 0 || isIP(address) === 0 || isIPv4(network) !== isIPv4(address)) {
    return false;
  }
  const parse = isIPv4(network) ? parseV4 : parseV6;
  return hasPrefix(parse(address), parse(network), bits);
}
