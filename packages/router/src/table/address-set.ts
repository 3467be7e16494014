import { BlockList, isIP } from "node:net";
import { RouterError } from "../errors.ts";

/** A set of IP addresses and CIDR ranges, for trusted proxies and access rules (spec/router.md §23). */
export class AddressSet {
  /** The entries as given. */
  readonly entries: readonly string[];
  readonly #list = new BlockList();

  /** @throws RouterError `invalid-option` for an entry that is neither an address nor a CIDR range. */
  constructor(entries: readonly string[]) {
    this.entries = [...entries];
    for (const entry of entries) {
      const [address = "", bits] = entry.split("/", 2);
      const version = isIP(address);
      const width = version === 6 ? 128 : 32;
      const prefix = bits === undefined ? width : /^[0-9]{1,3}$/.test(bits) ? Number(bits) : -1;
      if (version === 0 || prefix < 0 || prefix > width)
        throw new RouterError(
          "invalid-option",
          `"${entry}" is not an IP address or CIDR range. Write it as "10.0.0.0/8" or "2001:db8::1".`,
          { details: { entry } },
        );
      this.#list.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
    }
  }

  /** Whether the address is in the set; IPv4 in IPv6 form counts as IPv4. */
  has(address: string): boolean {
    const plain = plainAddress(address);
    const version = isIP(plain);
    return version !== 0 && this.#list.check(plain, version === 6 ? "ipv6" : "ipv4");
  }
}

/** `::ffff:192.0.2.1` as `192.0.2.1`; everything else unchanged. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
