import { isIP } from "node:net";
import { RouterError } from "../errors.ts";

const IPV4_BITS = 32;
const IPV6_BITS = 128;

/** Ranges of one address family: for each prefix length in use, the entries by their first bits. */
class Family {
  readonly #bits: number;
  /** Longest prefix first, so that the most specific entry is found. */
  #lengths: { readonly length: number; readonly entries: Map<bigint, string> }[] = [];

  constructor(bits: number) {
    this.#bits = bits;
  }

  add(address: bigint, length: number, entry: string): void {
    let row = this.#lengths.find((other) => other.length === length);
    if (row === undefined) {
      row = { length, entries: new Map() };
      this.#lengths.push(row);
      this.#lengths.sort((a, b) => b.length - a.length);
    }
    row.entries.set(address >> BigInt(this.#bits - length), entry);
  }

  find(address: bigint): string | undefined {
    for (const { length, entries } of this.#lengths) {
      const entry = entries.get(address >> BigInt(this.#bits - length));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }
}

/**
 * A set of IP addresses and CIDR ranges, for trusted proxies and access rules (spec/router.md §23).
 * A look-up costs one map access per prefix length in use, however many entries there are.
 */
export class AddressSet {
  /** The entries as given. */
  readonly entries: readonly string[];
  readonly #v4 = new Family(IPV4_BITS);
  readonly #v6 = new Family(IPV6_BITS);

  /** @throws RouterError `invalid-option` for an entry that is neither an address nor a CIDR range. */
  constructor(entries: readonly string[]) {
    this.entries = [...entries];
    for (const entry of entries) {
      const [given = "", bits] = entry.split("/", 2);
      const address = plainAddress(given);
      const version = isIP(address);
      const width = version === 6 ? IPV6_BITS : IPV4_BITS;
      // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
      const shift = version === 4 && address !== given ? IPV6_BITS - IPV4_BITS : 0;
      const written = bits === undefined ? width + shift : /^[0-9]{1,3}$/.test(bits) ? +bits : -1;
      const prefix = written - shift;
      if (version === 0 || prefix < 0 || prefix > width)
        throw new RouterError(
          "invalid-option",
          `"${entry}" is not an IP address or CIDR range. Write it as "10.0.0.0/8" or "2001:db8::1".`,
          { details: { entry } },
        );
      const family = version === 6 ? this.#v6 : this.#v4;
      family.add(version === 6 ? ipv6(address) : ipv4(address), prefix, entry);
    }
  }

  /** Whether the address is in the set; IPv4 in IPv6 form counts as IPv4. */
  has(address: string): boolean {
    return this.match(address) !== undefined;
  }

  /** The most specific entry that holds the address, or undefined. */
  match(address: string): string | undefined {
    const plain = plainAddress(address);
    const version = isIP(plain);
    if (version === 0) return undefined;
    return version === 6 ? this.#v6.find(ipv6(plain)) : this.#v4.find(ipv4(plain));
  }
}

function ipv4(address: string): bigint {
  let value = 0;
  for (const part of address.split(".")) value = value * 256 + Number(part);
  return BigInt(value);
}

function ipv6(address: string): bigint {
  // A zone names an interface of this machine; ranges do not know it.
  let text = address.split("%", 1)[0] as string;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const tail = ipv4(dotted[2] as string);
    text = `${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;
  }
  const [before = "", after] = text.split("::", 2);
  const head = before === "" ? [] : before.split(":");
  const rear = after === undefined || after === "" ? [] : after.split(":");
  const groups = [...head, ...new Array(8 - head.length - rear.length).fill("0"), ...rear];
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

/** `::ffff:192.0.2.1` as `192.0.2.1`; everything else unchanged. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
