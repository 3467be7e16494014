import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { canMountDisks } from "../src/disk.ts";
import { missing, titled } from "./support/requirement.ts";

const program = fileURLToPath(new URL("support/crash-program.ts", import.meta.url));

function lacking(): string | undefined {
  if (missing !== undefined) return missing;
  if (!canMountDisks()) return "disks need root, loop devices and the right to mount";
  const script =
    "ip link add dktry type veth peer name dktry2; nft add table inet t; echo 1 >/proc/sys/net/ipv4/ip_forward";
  const tried = spawnSync("unshare", ["--net", "sh", "-ec", script], { encoding: "utf8" });
  return tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim());
}

const reason = lacking();

describe.skipIf(reason !== undefined)(
  reason === undefined
    ? "after the death of the program that held them"
    : titled(`after the death of the program that held them (skipped: ${reason})`),
  () => {
    it("dynos with networks and disks of their own are taken back, and leave nothing at their end", {
      timeout: 180_000,
    }, async () => {
      const { stdout } = await promisify(execFile)("unshare", [
        "--net",
        process.execPath,
        ...["--conditions=@dynokit/source", "--import", "tsx", program],
      ]);
      expect(JSON.parse(stdout)).toEqual({
        links: true,
        found: ["running", "running"],
        inside: ["1\nNo space left", "1\nNo space left"],
        left: [],
      });
    });
  },
);
