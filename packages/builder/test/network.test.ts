import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPublicAddress, pinnedLookup, publicAddressesOf } from "../src/network/guard.ts";

describe("addresses of the public internet", () => {
  it.each(["93.184.215.14", "8.8.8.8", "172.32.0.1", "2606:2800:21f::1", "::ffff:8.8.8.8"])(
    "%s is one",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
  it.each([
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fd00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
  ])("%s is none", (address) => expect(isPublicAddress(address)).toBe(false));

  it("never throws", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        expect(typeof isPublicAddress(text)).toBe("boolean");
      }),
    );
  });

  it("are refused when one of several is private, so that retries can't reach it", async () => {
    const resolve = async () => [
      { address: "93.184.215.14", family: 4 },
      { address: "10.0.0.1", family: 4 },
    ];
    await expect(publicAddressesOf(new URL("https://x.example/"), resolve)).rejects.toMatchObject({
      code: "unsafe-url",
    });
    await expect(publicAddressesOf(new URL("ftp://x.example/"), resolve)).rejects.toMatchObject({
      code: "unsafe-url",
    });
  });

  it("are the only ones a pinned socket gets", () => {
    const lookup = pinnedLookup(["93.184.215.14"]);
    const seen: unknown[] = [];
    lookup("x.example", { all: true }, (_error, addresses) => seen.push(addresses));
    lookup("x.example", {}, (_error, address, family) => seen.push([address, family]));
    expect(seen).toEqual([[{ address: "93.184.215.14", family: 4 }], ["93.184.215.14", 4]]);
  });
});
