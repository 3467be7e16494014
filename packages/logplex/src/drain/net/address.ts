import { isIP, isIPv4 } from "node:net";

/** Why an address must not be reached from a drain; undefined when it is public. */
export type AddressClass =
  | "unspecified"
  | "loopback"
  | "private"
  | "link-local"
  | "shared (CGNAT)"
  | "multicast"
  | "reserved"
  | "documentation"
  | "benchmarking"
  | "unique-local"
  | "not an address";

type Row = readonly [prefix: string, bits: number, kind: AddressClass];

const V4: readonly Row[] = [
  ["0.0.0.0", 8, "unspecified"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "shared (CGNAT)"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link-local"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "documentation"],
  ["192.31.196.0", 24, "reserved"],
  ["192.52.193.0", 24, "reserved"],
  ["192.88.99.0", 24, "reserved"],
  ["192.168.0.0", 16, "private"],
  ["192.175.48.0", 24, "reserved"],
  ["198.18.0.0", 15, "benchmarking"],
  ["198.51.100.0", 24, "documentation"],
  ["203.0.113.0", 24, "documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
];

const V6: readonly Row[] = [
  ["::", 128, "unspecified"],
  ["::1", 128, "loopback"],
  ["100::", 64, "reserved"],
  ["100:0:0:1::", 64, "reserved"],
  ["2001::", 23, "reserved"],
  ["2001:db8::", 32, "documentation"],
  ["3fff::", 20, "documentation"],
  ["5f00::", 16, "reserved"],
  ["fc00::", 7, "unique-local"],
  ["fe80::", 10, "link-local"],
  ["fec0::", 10, "reserved"],
  ["ff00::", 8, "multicast"],
];

const V4_TABLE = V4.map(([prefix, bits, kind]) => ({ bytes: parseV4(prefix), bits, kind }));
const V6_TABLE = V6.map(([prefix, bits, kind]) => ({ bytes: parseV6(prefix), bits, kind }));

/**
 * Classifies an address of either family (spec/logplex.md §13.1). An IPv4 address that hides in
 * an IPv6 one (mapped, compatible, translated, NAT64, 6to4) counts as what it hides.
 */
export function classifyAddress(address: string): AddressClass | undefined {
  const bare = address.replace(/%.*$/, "");
  if (isIPv4(bare)) return classifyV4(parseV4(bare));
  if (isIP(bare) !== 6) return "not an address";
  const bytes = parseV6(bare);
  const exact = find(V6_TABLE, bytes);
  if (exact) return exact;
  const hidden = hiddenV4(bytes);
  if (hidden) return classifyV4(hidden) ?? (hidden.local ? "reserved" : undefined);
  // Only 2000::/3 is handed out for the public internet.
  return ((bytes[0] as number) & 0xe0) === 0x20 ? undefined : "reserved";
}

function classifyV4(bytes: Uint8Array): AddressClass | undefined {
  return find(V4_TABLE, bytes);
}

function find(
  table: readonly { bytes: Uint8Array; bits: number; kind: AddressClass }[],
  bytes: Uint8Array,
): AddressClass | undefined {
  return table.find((row) => hasPrefix(bytes, row.bytes, row.bits))?.kind;
}

/** Whether the first `bits` bits agree. */
export function hasPrefix(bytes: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  if (bytes.length !== prefix.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== prefix[i]) return false;
  const rest = bits & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((bytes[whole] as number) & mask) === ((prefix[whole] as number) & mask);
}

/** The IPv4 address inside an IPv6 one; `local` marks prefixes that never lead to the internet. */
function hiddenV4(bytes: Uint8Array): (Uint8Array & { local?: boolean }) | undefined {
  const zeros = (from: number, to: number) => bytes.subarray(from, to).every((byte) => byte === 0);
  const tail = bytes.subarray(12);
  const ffff = bytes[10] === 0xff && bytes[11] === 0xff;
  // ::ffff:0:0/96 and ::/96 (mapped, compatible), ::ffff:0:0:0/96 (translated).
  if (zeros(0, 10) && (ffff || zeros(10, 12))) return tail;
  if (zeros(0, 8) && bytes[8] === 0xff && bytes[9] === 0xff && zeros(10, 12)) return tail;
  // 64:ff9b::/96 and, for local use only, 64:ff9b:1::/48.
  if (bytes[0] === 0 && bytes[1] === 0x64 && bytes[2] === 0xff && bytes[3] === 0x9b) {
    if (zeros(4, 12)) return tail;
    return Object.assign(Uint8Array.from(tail), { local: true });
  }
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return bytes.subarray(2, 6);
  return undefined;
}

/** Dotted decimal → 4 bytes. */
export function parseV4(text: string): Uint8Array {
  return Uint8Array.from(text.split("."), Number);
}

/** Text that `isIPv6` accepts → 16 bytes. */
export function parseV6(text: string): Uint8Array {
  let source = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const [a, b, c, d] = parseV4(dotted[2] as string) as unknown as number[];
    const high = (((a as number) << 8) | (b as number)).toString(16);
    const low = (((c as number) << 8) | (d as number)).toString(16);
    source = `${dotted[1]}${high}:${low}`;
  }
  const [head = "", tail] = source.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  const bytes = new Uint8Array(16);
  groups.forEach((group, index) => {
    const value = Number.parseInt(group, 16);
    bytes[index * 2] = value >> 8;
    bytes[index * 2 + 1] = value & 0xff;
  });
  return bytes;
}
