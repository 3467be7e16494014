import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DynoDriver, DynoSpec } from "@dynokit/manifold";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

describeWalls("paths of the host", (runtime) => {
  let driver: DynoDriver;
  let kit: ReturnType<typeof sandboxKit>;
  let home: string;
  let counter = 0;

  beforeAll(() => {
    // Not searchable for anybody else, as the data of a platform.
    home = mkdtempSync(join(tmpdir(), "dynokit-builds-"));
    for (const name of ["one/app", "one/env", "other"])
      mkdirSync(join(home, name), { recursive: true });
    writeFileSync(join(home, "one/app/code"), "code\n", { mode: 0o600 });
    writeFileSync(join(home, "one/env/WORD"), "hello", { mode: 0o600 });
    writeFileSync(join(home, "other/secret"), "secret");
    kit = sandboxKit({ runtime, hostPaths: [home] });
    driver = kit.make();
  });

  afterAll(async () => {
    for (const { id } of await driver.list()) await driver.destroy(id, { force: true });
    await driver.close();
    kit.remove();
    rmSync(home, { recursive: true });
  });

  async function run(command: DynoSpec["command"], more: Partial<DynoSpec> = {}) {
    const id = `p${++counter}`;
    await driver.start({
      id,
      command,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      labels: { app: "a", dyno: "build.1", type: "build", release: "r", releaseVersion: "" },
      cwd: join(home, "one/app"),
      ...more,
    });
    const lines: string[] = [];
    for await (const { bytes } of driver.logs?.(id) ?? [])
      lines.push(Buffer.from(bytes).toString());
    const result = await driver.wait(id);
    await driver.destroy(id);
    return { lines, result };
  }

  const paths = (...entries: readonly [name: string, writable?: boolean][]) => ({
    config: {
      paths: entries.map(([name, writable = false]) => ({ path: join(home, name), writable })),
    },
  });

  it("are where they are on the host, private ones too, and written to where allowed", async () => {
    const given = paths(["one/env"], ["one/app", true]);
    const { lines, result } = await run(
      `pwd; cat code; cat ${home}/one/env/WORD; echo; echo made > new; ls -A /app; echo x > ${home}/one/env/x || exit 5`,
      given,
    );
    expect(lines.slice(0, 3)).toEqual([join(home, "one/app"), "code", "hello"]);
    expect(lines[3]).toContain("Read-only file system");
    expect(result.exitCode).toBe(5);
    expect(readFileSync(join(home, "one/app/new"), "utf8")).toBe("made\n");
    // By another user: the next build of the same code.
    expect((await run("cat new && echo more >> new", given)).result.exitCode).toBe(0);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(kit.stateDirectory);
  });

  it("are nothing but those that were asked for", async () => {
    const { lines, result } = await run(
      `cat ${home}/other/secret; ls ${home}; ls ${home}/one; cat /etc/shadow; ls ${kit.stateDirectory}; exit 2`,
      paths(["one/app", true]),
    );
    expect(result.exitCode).toBe(2);
    expect(lines.filter((line) => !/No such file|Permission denied/.test(line))).toEqual([
      "one",
      "app",
    ]);
  });

  it("are refused outside of what the driver allows, also behind a link", async () => {
    symlinkSync("/etc", join(home, "link"));
    for (const path of ["/etc", join(home, "link"), `${home}x`, "/"])
      await expect(run("true", { config: { paths: [{ path }] } })).rejects.toMatchObject({
        message: expect.stringMatching(/not below a directory of the option|does not exist/),
      });
    for (const path of ["etc", `${home}/../../etc`, 5, undefined])
      await expect(run("true", { config: { paths: [{ path }] } })).rejects.toMatchObject({
        code: "invalid-spec",
      });
    await expect(
      driver.start({
        id: "none",
        command: "true",
        env: {},
        labels: { app: "a", dyno: "build.1", type: "build", release: "r", releaseVersion: "" },
        ...paths(["one/app"]),
      }),
    ).rejects.toThrow(/needs a "cwd"/);
    expect(await driver.list()).toEqual([]);
  });
});
