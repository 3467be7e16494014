import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";

/** What the dynos of a driver may reach, and from which addresses. */
export interface EgressPolicy {
  readonly mode: "allow-list" | "open";
  /** Checked entries of the option `allow`. */
  readonly allow: readonly string[];
  readonly nameservers: readonly string[];
  /** Pool of the dynos' own addresses, as `ADDRESS/BITS`. */
  readonly addresses: string;
  /** The same for IPv6; undefined where the host does not forward it: then dynos have none. */
  readonly addresses6: string | undefined;
}

/** Beginning of the names of all interfaces of dynos, of whatever driver; theirs have 14 characters. */
export const INTERFACE_PREFIX = "dk";
/** Beginning of the names of all tables. */
export const TABLE_PREFIX = "dynokit_";

/** What `open` leaves out: this host, private and shared networks, metadata services, multicast. */
const NOT_PUBLIC = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/3",
] as const;

/** All of IPv6 that is routed in the internet; metadata services (`fd00:ec2::254`) are not among it. */
const PUBLIC6 = "2000::/3";
/** In it, and still not of it: for protocols (Teredo), for documentation, and 6to4, which carries IPv4 addresses. */
const NOT_PUBLIC6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"] as const;

/** An entry of `allow` in its parts. */
interface Target {
  readonly family: "ip" | "ip6";
  readonly address: string;
  readonly ports: string | undefined;
}

const TARGET4 = /^([\d.]+(?:\/\d{1,2})?)(?::(\d{1,5}(?:-\d{1,5})?))?$/;
const TARGET6 =
  /^(?:([\da-f:.]+(?:\/\d{1,3})?)|\[([\da-f:.]+(?:\/\d{1,3})?)\](?::(\d{1,5}(?:-\d{1,5})?))?)$/i;

/** Undefined for what is none. */
function parseTarget(text: string): Target | undefined {
  const four = TARGET4.exec(text);
  const six = four ? null : TARGET6.exec(text);
  const address = four?.[1] ?? six?.[1] ?? six?.[2] ?? "";
  const ports = four?.[2] ?? six?.[3];
  const family = four ? "ip" : "ip6";
  const [host = "", bits = "0"] = address.split("/");
  if (!(four ? isIPv4(host) && Number(bits) <= 32 : isIPv6(host) && Number(bits) <= 128))
    return undefined;
  const [from = 1, to = from] = ports?.split("-").map(Number) ?? [];
  return from >= 1 && from <= to && to <= 65_535 ? { family, address, ports } : undefined;
}

/** Whether it has the form of an entry of `allow`: `ADDRESS[/BITS][:PORT[-PORT]]`, IPv6 with ports in brackets. */
export function isTarget(text: string): boolean {
  return parseTarget(text) !== undefined;
}

/** Whether it is `ADDRESS/BITS` with room for dynos. */
export function isPool(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 28;
}

/** The same for IPv6, where addresses are chosen without a look at those that are taken. */
export function isPool6(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  return (
    isIPv6(address) &&
    !address.includes(".") &&
    /^\d{1,3}$/.test(bits) &&
    Number(bits) >= 16 &&
    Number(bits) <= 96
  );
}

/** What of a policy is for IPv6. */
export function entriesOf6(policy: Pick<EgressPolicy, "allow" | "nameservers">): string[] {
  return [
    ...policy.allow.filter((target) => parseTarget(target)?.family === "ip6"),
    ...policy.nameservers.filter((address) => isIPv6(address)),
  ];
}

/** Whether the host passes IPv6 packets on. */
export function forwards6(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "utf8").trim() === "1";
  } catch {
    // A kernel without IPv6.
    return false;
  }
}

/** Same policy, same rules, same names: also of another program on this host. */
export function policyKey(policy: EgressPolicy): string {
  return createHash("sha256").update(JSON.stringify(policy)).digest("hex").slice(0, 6);
}

/**
 * The rules of a policy as one table for `nft -f` (spec/drivers.md §5.3). They hold for the
 * interfaces of its dynos alone, so that nothing has to be added or taken away for a dyno. TCP is
 * refused by a reset: an ICMP error comes while `connect` holds its socket, and is seen a second late.
 */
export function rules(policy: EgressPolicy): string {
  const key = policyKey(policy);
  const ours = `iifname "${INTERFACE_PREFIX}${key}*"`;
  const toOurs = `oifname "${INTERFACE_PREFIX}${key}*"`;
  const toAny = `"${INTERFACE_PREFIX}*"`;
  const permitted = [
    ...policy.allow.map(permit),
    ...policy.nameservers.map(
      (address) =>
        `${isIPv6(address) ? "ip6" : "ip"} daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`,
    ),
  ];
  const others =
    policy.mode === "open"
      ? [
          `ip daddr { ${NOT_PUBLIC.join(", ")} } jump refused`,
          `ip6 daddr { ${NOT_PUBLIC6.join(", ")} } jump refused`,
          "meta nfproto ipv4 accept",
          `ip6 daddr ${PUBLIC6} accept`,
          "jump refused",
        ]
      : ["jump refused"];
  return `table inet ${TABLE_PREFIX}${key} {
  chain refused {
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain forged {
    ip saddr != ${policy.addresses} drop
    ${policy.addresses6 === undefined ? "meta nfproto ipv6 drop" : `ip6 saddr != ${policy.addresses6} drop`}
  }
  chain permitted {
    ${permitted.join("\n    ")}
  }
  chain input {
    type filter hook input priority -5;
    ${ours} jump forged
    ${ours} ct state established,related accept
    ${ours} jump permitted
    ${ours} jump refused
  }
  chain leaving {
    jump forged
    oifname ${toAny} jump refused
    ct state established,related accept
    jump permitted
    ${others.join("\n    ")}
  }
  chain forward {
    type filter hook forward priority -5;
    ${ours} jump leaving
    ${toOurs} ct state established,related accept
    ${toOurs} drop
  }
  chain post {
    type nat hook postrouting priority 100;
    ip saddr ${policy.addresses} oifname != ${toAny} masquerade${
      policy.addresses6 === undefined
        ? ""
        : `\n    ip6 saddr ${policy.addresses6} oifname != ${toAny} masquerade`
    }
  }
}
`;
}

/** Loopback, and addresses that mean something on one link alone. */
const NEAR6 = /^(::1$|fe[89ab]|::ffff:)|%/i;

/** Name servers of the host that another network can reach: those not on its loopback; IPv6 only if asked for. */
export function hostNameservers(six: boolean, path = "/etc/resolv.conf"): string[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // A host without one resolves no names, and neither do its dynos.
  }
  const found = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
  return found.filter((address) =>
    isIPv4(address) ? !address.startsWith("127.") : six && isIPv6(address) && !NEAR6.test(address),
  );
}

function permit(text: string): string {
  const { family, address, ports } = parseTarget(text) as Target;
  const where = `${family} daddr ${address}`;
  return ports === undefined
    ? `${where} accept`
    : `${where} meta l4proto { tcp, udp } th dport ${ports} accept`;
}
