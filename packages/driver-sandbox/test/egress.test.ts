import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { sandboxDriver } from "../src/index.ts";
import { missing, runc, titled } from "./support/requirement.ts";

const program = fileURLToPath(new URL("support/egress-program.ts", import.meta.url));

/** Why networks can't be made here; some containers that have bubblewrap have no right to it. */
function networkMissing(): string | undefined {
  if (missing !== undefined) return missing;
  const script =
    "ip link add dktry type veth peer name dktry2; nft add table inet t; echo 1 >/proc/sys/net/ipv4/ip_forward";
  const tried = spawnSync("unshare", ["--net", "sh", "-ec", script], { encoding: "utf8" });
  return tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim());
}

const reason = networkMissing();

describe.skipIf(reason !== undefined)(
  reason === undefined
    ? "dynos with a way out"
    : titled(`dynos with a way out (skipped: ${reason})`),
  () => {
    let found: Record<string, Record<string, unknown> | string>;

    beforeAll(async () => {
      const { stdout } = await promisify(execFile)("unshare", [
        "--net",
        process.execPath,
        ...["--conditions=@dynokit/source", "--import", "tsx", program],
        ...(runc.missing === undefined ? ["runc"] : []),
      ]);
      found = JSON.parse(stdout);
    }, 120_000);

    // Refused, by the rules and by a loopback that is the dyno's own.
    const closed = {
      "169.254.169.254:80": "111",
      "10.9.9.9:80": "111",
      "10.9.9.9:53": "111",
      "203.0.113.254:7001": "111",
      "127.0.0.1:7001": "111",
      "[fd00:ec2::254]:80": "111",
      "[fd00::9]:80": "111",
      "[fd00::9]:53": "111",
      "[2002:a00::1]:80": "111",
      "[2600:1::fe]:7001": "111",
      "[::1]:7001": "111",
    };

    it("open: reach the internet, and neither metadata, private networks nor the host's ports", () => {
      expect(found["open"]).toEqual({
        ...closed,
        "203.0.113.1:80": "ok",
        "203.0.113.1:81": "ok",
        "203.0.113.2:80": "ok",
        "[2600:1::1]:80": "ok",
        "[2600:1::1]:81": "ok",
      });
    });

    it.skipIf(runc.missing)(runc.titled("open: the same of a container"), () => {
      expect(found["runc"]).toEqual(found["open"]);
    });

    it("open: reach name servers and listed exceptions", () => {
      expect(found["exceptions"]).toEqual({
        ...(found["open"] as Record<string, unknown>),
        "10.9.9.9:53": "ok",
        "203.0.113.254:7001": "ok",
        "[fd00::9]:53": "ok",
        "[2600:1::fe]:7001": "ok",
      });
    });

    it("allow-list: reach what is listed, by address and port, and nothing else", () => {
      expect(found["listed"]).toEqual({
        ...closed,
        "203.0.113.1:80": "ok",
        "203.0.113.1:81": "111",
        "203.0.113.2:80": "111",
        "[2600:1::1]:80": "ok",
        "[2600:1::1]:81": "111",
      });
    });

    it("say it when IPv6 is listed on a host that does not forward it", () => {
      expect(found["withoutForwarding"]).toMatch(
        /^"\[2600:1::1\]:80" is IPv6, which the host does not forward; set it with sysctl/,
      );
    });

    it("listen on the same port, and don't reach each other's", () => {
      expect(found["neighbours"]).toMatchObject({
        sockets: 2,
        addresses: 4,
        refused: ["111", "111", "111", "111"],
      });
    });

    it("outlive the driver with links and rules, and leave nothing of either", () => {
      expect(found["neighbours"]).toMatchObject({
        links: 2,
        kept: 1,
        found: ["running", "running"],
        back: 1,
        linksLeft: 0,
        tablesLeft: 0,
      });
    });
  },
);

describe.skipIf(missing)(titled("options of the way out"), () => {
  it.each([
    ["an allow list without entries", { egress: "allow-list" }, /"allow" is empty/],
    ["a list that has no effect", { allow: ["192.0.2.1"] }, /no effect with egress "none"/],
    [
      "name servers without a way out",
      { egress: "host", nameservers: [] },
      /no effect with egress "host"/,
    ],
    ["a name in the list", { egress: "allow-list", allow: ["example.com:443"] }, /must be an addr/],
    ["bits beyond 32", { egress: "allow-list", allow: ["192.0.2.1/33"] }, /must be an addr/],
    ["bits beyond 128", { egress: "allow-list", allow: ["2600::/129"] }, /must be an addr/],
    ["ports the wrong way round", { egress: "open", allow: ["192.0.2.1:9-8"] }, /must be an addr/],
    ["port 0", { egress: "open", allow: ["[2600::1]:0"] }, /must be an addr/],
    ["more than an address", { egress: "open", allow: ["2600::1 accept"] }, /must be an addr/],
    ["brackets that don't match", { egress: "open", allow: ["[2600::1:80"] }, /must be an addr/],
    ["an IPv6 pool without room", { egress: "open", addresses6: "fd00::/120" }, /16 to 96 bits/],
    ["a pool without room", { egress: "open", addresses: "192.0.2.1/32" }, /8 to 28 bits/],
  ] as const)("refuses %s", (_, options, message) => {
    expect(() => sandboxDriver(options)).toThrow(message);
  });
});
