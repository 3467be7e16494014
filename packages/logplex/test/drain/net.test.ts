import { describe, expect, it } from "vitest";
import { classifyAddress } from "../../src/drain/net/address.ts";
import { BlockedAddress, pinnedLookup, resolveChecked } from "../../src/drain/net/lookup.ts";
import { type DrainPolicy, refusedAddress } from "../../src/drain/net/policy.ts";
import { maskUrl, parseDrainUrl } from "../../src/drain/url.ts";

describe("addresses a drain may not reach", () => {
  it.each([
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["0.0.0.0", "unspecified"],
    ["10.1.2.3", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.168.1.1", "private"],
    ["169.254.169.254", "link-local"],
    ["100.64.0.1", "shared (CGNAT)"],
    ["100.127.255.255", "shared (CGNAT)"],
    ["192.0.0.1", "reserved"],
    ["192.0.2.1", "documentation"],
    ["198.18.0.1", "benchmarking"],
    ["198.19.255.255", "benchmarking"],
    ["203.0.113.9", "documentation"],
    ["224.0.0.1", "multicast"],
    ["239.255.255.255", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "reserved"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["fe80::1%eth0", "link-local"],
    ["febf::1", "link-local"],
    ["fec0::1", "reserved"],
    ["fc00::1", "unique-local"],
    ["fdff::1", "unique-local"],
    ["ff02::1", "multicast"],
    ["2001:db8::1", "documentation"],
    ["2001::1", "reserved"],
    ["100::1", "reserved"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::ffff:0:10.0.0.1", "private"],
    ["::127.0.0.1", "loopback"],
    ["64:ff9b::10.0.0.1", "private"],
    ["64:ff9b::a9fe:a9fe", "link-local"],
    ["64:ff9b:1::8.8.8.8", "reserved"],
    ["2002:7f00:1::1", "loopback"],
    ["2002:c0a8:101::", "private"],
    ["4000::1", "reserved"],
    ["nonsense", "not an address"],
    ["", "not an address"],
  ])("%s is %s", (address, kind) => {
    expect(classifyAddress(address)).toBe(kind);
  });

  it.each([
    "8.8.8.8",
    "1.1.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "100.128.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
  ])("%s is public", (address) => {
    expect(classifyAddress(address)).toBeUndefined();
  });

  it("are allowed one by one by the operator", () => {
    const policy = {
      allowHosts: ["10.1.0.0/16", "*.internal", "collector", "fd00::/8", "192.168.7.7"],
    };
    expect(refusedAddress(policy, "x", "10.1.2.3")).toBeUndefined();
    expect(refusedAddress(policy, "x", "10.2.2.3")).toBeDefined();
    expect(refusedAddress(policy, "a.b.INTERNAL", "10.2.2.3")).toBeUndefined();
    expect(refusedAddress(policy, "internal", "10.2.2.3")).toBeDefined();
    expect(refusedAddress(policy, "Collector", "127.0.0.1")).toBeUndefined();
    expect(refusedAddress(policy, "x", "fd12::1")).toBeUndefined();
    expect(refusedAddress(policy, "x", "192.168.7.7")).toBeUndefined();
    expect(refusedAddress({ allowPrivate: true }, "x", "127.0.0.1")).toBeUndefined();
  });
});

describe("name resolution for drains", () => {
  const v4 = (address: string) => ({ address, family: 4 as const });

  it("refuses a name if any of its answers is refused", async () => {
    const mixed = async () => [v4("8.8.8.8"), v4("10.0.0.1")];
    await expect(resolveChecked("x.test", {}, mixed)).rejects.toBeInstanceOf(BlockedAddress);
    await expect(resolveChecked("x.test", {}, async () => [v4("8.8.8.8")])).resolves.toHaveLength(
      1,
    );
    await expect(resolveChecked("x.test", {}, async () => [])).rejects.toMatchObject({
      code: "ENOTFOUND",
    });
  });

  it("does not say in its reason which address it found", async () => {
    const error = await resolveChecked("x.test", {}, async () => [v4("10.9.8.7")]).catch(
      (caught) => caught,
    );
    expect(error.message).not.toContain("10.9.8.7");
  });

  it("pins the connection to what was checked", () => {
    const lookup = pinnedLookup([v4("8.8.8.8"), { address: "2606:4700::1", family: 6 }]);
    const results: unknown[] = [];
    lookup("other.test", { all: true }, (...args) => results.push(args));
    lookup("other.test", {}, (...args) => results.push(args));
    lookup("other.test", { family: 6 }, (...args) => results.push(args));
    expect(results).toEqual([
      [null, [v4("8.8.8.8"), { address: "2606:4700::1", family: 6 }]],
      [null, "8.8.8.8", 4],
      [null, "2606:4700::1", 6],
    ]);
  });
});

describe("drain URLs", () => {
  const open: DrainPolicy = {
    allowInsecure: true,
    allowPrivate: true,
    allowLocal: true,
    allowUnverified: true,
  };

  it.each([
    ["https://logs.example.com/a?b=c", { kind: "https", port: 443, tls: true, path: "/a?b=c" }],
    ["https://logs.example.com", { kind: "https", port: 443, path: "/" }],
    ["https://logs.example.com:8443/", { port: 8443 }],
    ["http://h.example:8080/", { kind: "https", port: 8080, tls: false }],
    ["syslog://h.example", { kind: "syslog", port: 601, tls: false }],
    ["tcpsyslog://h.example:5000", { kind: "syslog", port: 5000 }],
    ["syslog+tcp://h.example", { kind: "syslog", port: 601 }],
    ["syslog+tls://h.example", { kind: "syslog+tls", port: 6514, tls: true, unverified: false }],
    ["syslog+tls://h.example#insecure", { unverified: true }],
    ["udpsyslog://h.example", { kind: "udpsyslog", port: 514 }],
    ["ndjson+https://h.example/x", { kind: "ndjson+https", path: "/x" }],
    ["otlp+https://h.example", { kind: "otlp+https", path: "/v1/logs" }],
    ["otlp+https://h.example/my/path", { path: "/my/path" }],
    ["loki+https://h.example:3100", { kind: "loki+https", port: 3100, path: "/loki/api/v1/push" }],
    ["file:///var/log/a%20b.log", { kind: "file", file: "/var/log/a b.log" }],
    ["stdout:", { kind: "stdout" }],
    ["https://[2606:4700::1]:444/", { host: "2606:4700::1", port: 444 }],
    ["syslog://0x7f000001", { host: "127.0.0.1" }],
    ["https://u%40x:p%3A@h.example/", { credentials: { user: "u@x", password: "p:" } }],
  ])("%s is read", (url, expected) => {
    expect(parseDrainUrl(url, open)).toMatchObject(expected);
  });

  it.each([
    ["not a url", /it is no URL/],
    ["ftp://h.example/", /scheme "ftp" is unknown/],
    ["http://h.example/", /plain http is not allowed/],
    ["otlp+http://h.example/", /plain http is not allowed/],
    ["https://127.0.0.1/", /loopback/],
    ["https://127.1/", /loopback/],
    ["https://2130706433/", /loopback/],
    ["syslog://0x7f000001:6514", /loopback/],
    ["https://[::1]/", /loopback/],
    ["https://[::ffff:10.0.0.1]/", /private/],
    ["https://localhost/", /loopback/],
    ["https://x.localhost/", /loopback/],
    ["https://169.254.169.254/latest/", /link-local/],
    ["https://h.example:22/", /port 22 is not allowed/],
    ["syslog://h.example:6379", /port 6379 is not allowed/],
    ["syslog+tls://h.example#insecure", /#insecure is not allowed/],
    ["file:///etc/passwd", /for the operator/],
    ["stdout:", /for the operator/],
    ["syslog://h.example:99999", /no URL/],
    ["syslog://h.example:0", /out of range/],
    ["syslog://", /no host|no URL/],
    ["syslog://a b/", /no URL/],
    ["https://u:%zz@h.example/", /percent-encoded/],
    [`https://h.example/${"x".repeat(2100)}`, /longer than 2048/],
  ])("%s is refused", (url, problem) => {
    expect(() => parseDrainUrl(url, {})).toThrow(problem);
  });

  it("never shows its secrets in an error", () => {
    for (const url of [
      "http://bob:hunter2@h.example/?key=k3y",
      "https://bob:hunter2@127.0.0.1/?k3y",
      "bob:hunter2@k3y",
    ]) {
      const error = (() => {
        try {
          parseDrainUrl(url, {});
        } catch (caught) {
          return caught as Error & { details: unknown };
        }
        return undefined;
      })();
      expect(error).toBeDefined();
      expect(`${error?.stack} ${JSON.stringify(error?.details)} ${error?.cause}`).not.toMatch(
        /bob|hunter2|k3y/,
      );
    }
  });

  it.each([
    ["https://u:p@h/p?a=1&b=2#f", "https://***@h/p?a=***&b=***#***"],
    ["https://token@h/", "https://***@h/"],
    ["https://h/p?sometoken", "https://h/p?***"],
    ["syslog+tls://h:1#insecure", "syslog+tls://h:1#insecure"],
    ["https://a@b@h/", "https://***@h/"],
    ["mailto:x", "mailto:***"],
  ])("%s is masked as %s", (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});
