import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const script = fileURLToPath(new URL("fixtures/fill-disk.mjs", import.meta.url));
const inOwnMounts = (command: string) =>
  spawnSync("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", command], {
    encoding: "utf8",
  });
const missing =
  inOwnMounts("mount -t tmpfs none /mnt").status === 0 ? "" : " (skipped: no user namespaces)";
// Who requires sandboxes has them.
if (missing && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("bwrap"))
  throw new Error("User namespaces are required by DYNOKIT_REQUIRE");

describe.skipIf(missing !== "")(`output on a full disk${missing}`, () => {
  test("costs the lines that had no room, which are counted, and never the dyno", () => {
    const { stdout, stderr } = inOwnMounts(
      `mount -t tmpfs -o size=96k none /mnt && exec "${process.execPath}" "${script}" /mnt`,
    );
    expect(stderr).toBe("");
    const { written, read, lost } = JSON.parse(stdout) as Record<string, number>;
    expect(lost).toBeGreaterThan(0);
    expect((read as number) + (lost as number)).toBe(written);
  });
});
