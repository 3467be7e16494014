import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DynoDriver, DynoSpec, SlugRef } from "@dynokit/manifold";
import { afterAll, beforeAll, expect, it } from "vitest";
import { canMountDisks } from "../src/disk.ts";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

const MIB = 1_048_576;
const unable = canMountDisks() ? undefined : "disks need root, loop devices and the right to mount";

describeWalls(
  "disks of dynos",
  (runtime) => {
    let driver: DynoDriver;
    let kit: ReturnType<typeof sandboxKit>;
    let slugs: string;
    let counter = 0;

    beforeAll(() => {
      kit = sandboxKit({ runtime, diskBytes: 64 * MIB });
      driver = kit.make();
      slugs = mkdtempSync(join(tmpdir(), "dynokit-slugs-"));
    });

    afterAll(async () => {
      for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
      await driver.close();
      kit.remove();
      rmSync(slugs, { recursive: true });
    });

    const mounted = () => readFileSync("/proc/self/mountinfo", "utf8").includes(kit.stateDirectory);

    async function start(command: DynoSpec["command"], more: Partial<DynoSpec> = {}) {
      const id = `d${++counter}`;
      const env = { PATH: "/usr/local/bin:/usr/bin:/bin" };
      const labels = { app: "a", dyno: "web.1", type: "web", release: "r", releaseVersion: "1" };
      await driver.start({ id, command, env, labels, ...more });
      return id;
    }

    async function outputOf(id: string): Promise<string[]> {
      const lines: string[] = [];
      for await (const { bytes } of driver.logs?.(id) ?? [])
        lines.push(Buffer.from(bytes).toString());
      return lines;
    }

    async function run(command: DynoSpec["command"], more: Partial<DynoSpec> = {}) {
      const id = await start(command, more);
      const lines = await outputOf(id);
      const result = await driver.wait(id);
      await driver.destroy(id);
      return { lines, result };
    }

    function slugOf(files: Readonly<Record<string, string | Buffer>>): SlugRef {
      const directory = mkdtempSync(join(slugs, "code-"));
      for (const [name, text] of Object.entries(files))
        writeFileSync(join(directory, name), text, { mode: 0o755 });
      const path = `${directory}.tgz`;
      execFileSync("tar", ["-czf", path, "-C", directory, "."]);
      const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
      return { id: `s${++counter}`, path, checksum: `SHA256:${digest}` };
    }

    it("hold the code, which the dyno may run and change", async () => {
      const slug = slugOf({ run: "#!/bin/sh\necho from the slug\n" });
      const { lines, result } = await run(
        "./run && echo changed > run && cat run && ls -A && stat -c %u . run && exit 4",
        { slug },
      );
      const user = runtime === "bwrap" ? "1000" : expect.stringMatching(/^4\d{5}$/);
      expect(lines).toEqual(["from the slug", "changed", "run", user, user]);
      expect(result.exitCode).toBe(4);
      expect(mounted()).toBe(false);
    });

    it("are full for their dyno alone, which sees why and goes on", async () => {
      const neighbour = await start("read x; head -c 20000000 /dev/zero > f && stat -c %s f", {
        stdin: true,
      });
      const { lines, result } = await run(
        "head -c 100000000 /dev/zero > f; echo $?; stat -c %s f; rm f; echo x > f && echo goes on; exit 3",
        { limits: { diskBytes: 4 * MIB } },
      );
      expect(lines.join("\n")).toContain("No space left on device");
      const size = Number(lines.find((line) => /^\d{4,}$/.test(line)));
      expect(size).toBeGreaterThan(2 * MIB);
      expect(size).toBeLessThanOrEqual(4 * MIB);
      expect(lines).toContain("goes on");
      expect(result.exitCode).toBe(3);
      const session = await driver.attach?.(neighbour);
      await session?.write(Buffer.from("\n"));
      expect(await outputOf(neighbour)).toEqual(["20000000"]);
      await session?.close();
      await driver.destroy(neighbour, { force: true });
    });

    it("bound the number of files, and one file spread over holes", async () => {
      const { lines } = await run(
        "i=0; while : > f$i; do i=$((i+1)); done 2>/dev/null; test $i -lt 100000 && echo bounded; truncate -s 1T f0; head -c 9000000 /dev/zero >> f0 || echo full",
        { limits: { diskBytes: 4 * MIB } },
      );
      expect(lines.filter((line) => /^(bounded|full)$/.test(line))).toEqual(["bounded", "full"]);
    });

    it("go with their dynos, also with those that nobody stops in order", async () => {
      const id = await start("echo ready; sleep 1000", { limits: { diskBytes: 4 * MIB } });
      expect(mounted()).toBe(false);
      expect(readdirSync(join(kit.stateDirectory, id))).not.toContain("disk");
      const other = kit.make();
      const [handle] = (await other.list()).filter((one) => one.id === id);
      expect(handle && (await other.recover(handle)).state).toBe("running");
      await other.destroy(id, { force: true });
      await other.close();
      expect(mounted()).toBe(false);
      // The kernel frees it when it has taken the namespace down.
      const backing = () =>
        execFileSync("losetup", ["-n", "-O", "BACK-FILE"], { encoding: "utf8" });
      await expect.poll(backing, { timeout: 10_000 }).not.toContain(kit.stateDirectory);
    });

    it("are refused when the code does not fit, and for directories that are nobody's copy", async () => {
      const slug = slugOf({ blob: randomBytes(3 * MIB) });
      await expect(start("true", { slug, limits: { diskBytes: 2 * MIB } })).rejects.toThrow(
        /does not fit on a disk of 2097152 bytes/,
      );
      await expect(start("true", { cwd: tmpdir(), limits: { diskBytes: MIB } })).rejects.toThrow(
        /for the copy of a slug/,
      );
      await expect(start("true", { limits: { diskBytes: 10 } })).rejects.toThrow(
        /at least 1048576/,
      );
      expect(await driver.list()).toEqual([]);
      expect(mounted()).toBe(false);
    });
  },
  unable,
);
