import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIPv4 } from "node:net";

/** What the dynos of a driver may reach, and from which addresses. */
export interface EgressPolicy {
  readonly mode: "allow-list" | "open";
  /** Checked entries of the option `allow`. */
  readonly allow: readonly string[];
  readonly nameservers: readonly string[];
  /** Pool of the dynos' own addresses, as `ADDRESS/BITS`. */
  readonly addresses: string;
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

/** Whether it is `ADDRESS[/BITS][:PORT[-PORT]]`, the form of an entry of `allow`. */
export function isTarget(text: string): boolean {
  const match = /^([\d.]+)(?:\/(\d{1,2}))?(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text);
  if (!match) return false;
  const [, address = "", bits = "32", from = "1", to = from] = match;
  const ports = [Number(from), Number(to)] as const;
  return (
    isIPv4(address) &&
    Number(bits) <= 32 &&
    ports[0] >= 1 &&
    ports[0] <= ports[1] &&
    ports[1] <= 65_535
  );
}

/** Whether it is `ADDRESS/BITS` with room for dynos. */
export function isPool(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 28;
}

/** Same policy, same rules, same names: also of another program on this host. */
export function policyKey(policy: EgressPolicy): string {
  return createHash("sha256").update(JSON.stringify(policy)).digest("hex").slice(0, 6);
}

/**
 * The rules of a policy as one table for `nft -f` (spec/drivers.md §5.3). They hold for the
 * interfaces of its dynos alone, so that nothing has to be added or taken away for a dyno.
 */
export function rules(policy: EgressPolicy): string {
  const key = policyKey(policy);
  const ours = `iifname "${INTERFACE_PREFIX}${key}*"`;
  const toOurs = `oifname "${INTERFACE_PREFIX}${key}*"`;
  const toAny = `"${INTERFACE_PREFIX}*"`;
  const refuse = "reject with icmpx type admin-prohibited";
  const permitted = [
    ...policy.allow.map(permit),
    ...policy.nameservers.map(
      (address) => `ip daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`,
    ),
  ];
  const others =
    policy.mode === "open"
      ? [`ip daddr { ${NOT_PUBLIC.join(", ")} } ${refuse}`, "meta nfproto ipv4 accept", "drop"]
      : [refuse];
  return `table inet ${TABLE_PREFIX}${key} {
  chain permitted {
    ${permitted.join("\n    ")}
  }
  chain input {
    type filter hook input priority -5;
    ${ours} ct state established,related accept
    ${ours} jump permitted
    ${ours} ${refuse}
  }
  chain leaving {
    oifname ${toAny} ${refuse}
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
    ip saddr ${policy.addresses} oifname != ${toAny} masquerade
  }
}
`;
}

/** Name servers of the host that another network can reach: those not on its loopback. */
export function hostNameservers(path = "/etc/resolv.conf"): string[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // A host without one resolves no names, and neither do its dynos.
  }
  const found = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
  return found.filter((address) => isIPv4(address) && !address.startsWith("127."));
}

function permit(target: string): string {
  const [address = "", ports] = target.split(":");
  const where = `ip daddr ${address}`;
  return ports === undefined
    ? `${where} accept`
    : `${where} meta l4proto { tcp, udp } th dport ${ports} accept`;
}
