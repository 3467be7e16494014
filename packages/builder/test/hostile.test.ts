import { mkdtempSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processDriver } from "@dynokit/manifold";
import { describe, expect, it, onTestFinished } from "vitest";
import { type BuilderOptions, dynoRunner } from "../src/index.ts";
import { makeBench, makeTree, processesWith, temporaryDirectory } from "./support/fixtures.ts";

/** A builder that runs one buildpack as dynos of the process driver. */
async function benchWith(
  compile: string,
  options: Partial<BuilderOptions> & { readonly pids?: number } = {},
) {
  const { pids, ...rest } = options;
  const buildpack = await makeTree({
    "bin/detect": { run: "#!/bin/sh\necho Hostile\n" },
    "bin/compile": { run: `#!/bin/sh\n${compile}\n` },
  });
  const driver = processDriver({ stateDirectory: await temporaryDirectory() });
  onTestFinished(() => driver.close());
  const bench = await makeBench({
    runner: dynoRunner({ driver, killAfterMs: 200, ...(pids && { limits: { pids } }) }),
    buildpacks: { hostile: buildpack },
    ...rest,
  });
  const path = await makeTree({ "index.html": "hi" });
  return {
    ...bench,
    driver,
    build: (signal?: AbortSignal) =>
      bench.builder.build(
        bench.request({
          source: { kind: "directory", path },
          buildpacks: [{ url: "hostile" }],
          ...(signal && { signal }),
        }),
      ),
  };
}

const probeDirectory = mkdtempSync(join(tmpdir(), "dynokit-probe-"));
const probe = processDriver({ stateDirectory: probeDirectory });
const pidLimit = probe.capabilities().limits.pids;
await probe.close();
rmSync(probeDirectory, { recursive: true, force: true });

describe("a build dyno", () => {
  it("builds like a process of the host does, both streams passed on", async () => {
    const bench = await benchWith(
      'echo "to stdout"; echo "to stderr" >&2; echo "web: ./run" > "$1/Procfile"; pwd > "$1/pwd"',
    );
    const slug = await bench.build();
    expect({ ...slug.processTypes }).toEqual({ web: "./run" });
    expect(bench.text()).toContain("to stdout\n");
    expect(bench.text()).toContain("to stderr\n");
    expect(await bench.driver.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("fails with the status of the buildpack", async () => {
    const bench = await benchWith("echo no; exit 3");
    await expect(bench.build()).rejects.toMatchObject({
      code: "build-failed",
      message: /failed to compile Hostile app \(status 3\)/,
    });
  });

  it("is ended with all that it started, detached or deaf to signals", async () => {
    const bench = await benchWith(
      'trap "" TERM; (setsid sleep 98763 &) ; (trap "" TERM HUP; exec sleep 98763) & echo running; sleep 98763',
    );
    const controller = new AbortController();
    const build = bench.build(controller.signal);
    build.catch(() => undefined);
    await expect.poll(bench.text, { timeout: 20_000 }).toContain("running");
    controller.abort();
    await expect(build).rejects.toMatchObject({ code: "cancelled" });
    expect(await processesWith("98763")).toEqual([]);
    expect(await bench.driver.list()).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("that kills what watches over it fails and leaves nothing", async () => {
    const bench = await benchWith('kill -9 "$PPID"; exec sleep 98764');
    await expect(bench.build()).rejects.toMatchObject({ code: "build-failed" });
    expect(await processesWith("98764")).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it.each(["build", "sweep"] as const)("of an earlier life is ended by a %s", async (by) => {
    const bench = await benchWith("true");
    const cwd = await temporaryDirectory();
    await bench.driver.start({
      id: "build-old",
      command: ["sleep", "98765"],
      env: {},
      cwd,
      labels: { app: "a", dyno: "build.1", type: "build", release: "b", releaseVersion: "" },
    });
    if (by === "build") await bench.build();
    else await bench.builder.sweep();
    expect(await bench.driver.list()).toEqual([]);
    expect(await processesWith("98765")).toEqual([]);
  });

  it.skipIf(pidLimit === "none")(
    `that forks without end hits its limit (the driver's here: ${pidLimit})`,
    async () => {
      const bench = await benchWith("for i in $(seq 200); do sleep 98766 & done; echo forked", {
        pids: 40,
      });
      await expect(bench.build()).rejects.toMatchObject({ code: "build-failed" });
      expect(await processesWith("98766")).toEqual([]);
    },
  );
});

describe("the disk", () => {
  it("is kept from a build that fills it", async () => {
    const bench = await benchWith(
      'dd if=/dev/zero of="$1/big" bs=1M count=96 2>/dev/null; echo written; exec sleep 98767',
      { limits: { maxWorkBytes: 32 * 1024 ** 2 } },
    );
    await expect(bench.build()).rejects.toMatchObject({
      code: "too-large",
      message: /more than 32 MiB on the disk .*`limits\.maxWorkBytes`/,
      details: { name: "maxWorkBytes" },
    });
    expect(await processesWith("98767")).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  it("without room takes no build, and says what to do", async () => {
    const bench = await benchWith("true", { limits: { minFreeBytes: 2 ** 52 } });
    await expect(bench.build()).rejects.toMatchObject({
      code: "disk-full",
      message: /must stay free\. Make room/,
    });
    expect(bench.text()).not.toContain("Hostile");
    expect(await bench.leftovers()).toEqual([]);
  });
});

describe("a slug", () => {
  it("of too many files is refused", async () => {
    const bench = await benchWith('cd "$1"; for i in $(seq 600); do : > "f$i"; done', {
      limits: { maxFiles: 500 },
    });
    await expect(bench.build()).rejects.toMatchObject({
      code: "too-large",
      details: { name: "maxFiles" },
    });
  });

  it("is of the app alone, also where a buildpack put a link in its place", async () => {
    const outside = await makeTree({ secret: "top" });
    const bench = await benchWith(`cd /; rm -rf "$1"; ln -s ${outside} "$1"`);
    await expect(bench.build()).rejects.toMatchObject({ code: "build-failed" });
    expect(await readdir(outside)).toEqual(["secret"]);
  });

  it("has no devices, sockets and pipes of the build", async () => {
    const bench = await benchWith('mkfifo "$1/pipe"');
    await expect(bench.build()).rejects.toMatchObject({
      code: "unsafe-archive",
      message: /"pipe"/,
    });
  });

  it("is not made where a buildpack put a link in place of its cache", async () => {
    const outside = await makeTree({ keep: "me" });
    const bench = await benchWith(`rm -rf "$2"; ln -s ${outside} "$2"`);
    await expect(bench.build()).rejects.toMatchObject({ code: "build-failed" });
    expect(await readdir(outside)).toEqual(["keep"]);
  });
});
