import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DynoDriver, DynoSpec } from "@dynokit/manifold";
import { DriverError } from "@dynokit/manifold";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { containerOptions } from "../src/container-spec.ts";
import { dockerDriver } from "../src/index.ts";
import { optionsSchema } from "../src/options.ts";
import { cleanUp, image, importImage } from "./support/image.ts";
import { missing, socketPath, titled } from "./support/requirement.ts";

const MIB = 1_048_576;
const labels = { app: "shop", dyno: "web.1", type: "web", release: "r7", releaseVersion: "7" };
const specOf = (more: Partial<DynoSpec> = {}): DynoSpec => ({
  id: "x",
  command: "true",
  env: {},
  labels,
  ...more,
});

describe("limits of the disk", () => {
  /** An engine that answers every request with a status, and prints what it is asked. */
  async function fakeEngine(path: string, status: number) {
    const program = `require("node:http").createServer((asked, answer) => { console.log(asked.method, asked.url.replace(/quota-.*/, "quota-ID")); answer.writeHead(${status}).end("{}") }).listen(process.argv[1], () => console.log("listening"))`;
    const child = spawn(process.execPath, ["-e", program, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: string[] = [];
    child.stdout.on("data", (bytes) => lines.push(...String(bytes).trim().split("\n")));
    await once(child.stdout, "data");
    return {
      lines,
      async end() {
        child.kill("SIGKILL");
        await once(child, "close");
      },
    };
  }

  it.each([
    [201, true, ["POST /volumes/create", "DELETE /volumes/dynokit-quota-ID"]],
    [500, false, ["POST /volumes/create"]],
  ])(
    "are declared when the engine makes a volume with one: status %i",
    async (status, disk, asked) => {
      const directory = mkdtempSync(join(tmpdir(), "dynokit-engine-"));
      const path = join(directory, "sock");
      const engine = await fakeEngine(path, status);
      try {
        for (let times = 0; times < 2; times++)
          expect(dockerDriver({ image: "any", socketPath: path }).capabilities().limits.disk).toBe(
            disk,
          );
      } finally {
        await engine.end();
        rmSync(directory, { recursive: true });
      }
      expect(engine.lines).toEqual(["listening", ...asked]);
    },
  );

  it("are not declared of an engine that can't be reached", () => {
    const driver = dockerDriver({ image: "any", socketPath: "/nonexistent/sock" });
    expect(driver.capabilities().limits.disk).toBe(false);
  });

  it("hold for what the dyno can write to", () => {
    const spec = specOf({ limits: { diskBytes: 5 * MIB } });
    const settings = optionsSchema.parse({ image: "any" });
    expect(containerOptions(spec, settings, "n").HostConfig).toMatchObject({
      ReadonlyRootfs: true,
      Mounts: [
        {
          Target: "/app",
          VolumeOptions: { DriverConfig: { Name: "local", Options: { size: "5242880" } } },
        },
      ],
    });
    const writable = containerOptions(spec, { ...settings, readOnly: false }, "n").HostConfig;
    expect(writable).toMatchObject({ StorageOpt: { size: "5242880" } });
    expect(writable?.ReadonlyRootfs).toBeUndefined();
  });
});

describe.skipIf(missing)(titled("walls of containers"), () => {
  const platform = `walls-${process.pid}`;
  const docker = new Docker({ socketPath });
  const options = { socketPath, image, platform, network: platform };
  let driver: DynoDriver;
  let counter = 0;

  beforeAll(async () => {
    await importImage(docker);
    driver = dockerDriver(options);
  }, 120_000);

  afterAll(async () => {
    await driver.close();
    await cleanUp(docker, platform);
  }, 60_000);

  async function run(command: string, more: Partial<DynoSpec> = {}, by = driver) {
    const id = `${platform}-${++counter}`;
    await by.start(specOf({ id, command, env: { PATH: "/bin" }, ...more }));
    const lines: string[] = [];
    for await (const { bytes } of by.logs?.(id) ?? []) lines.push(Buffer.from(bytes).toString());
    const { exitCode } = await by.wait(id);
    const info = await docker.getContainer(`dynokit-${id}`).inspect();
    await by.destroy(id);
    return { id, lines, exitCode, info };
  }

  it("let a dyno write to /app and /tmp alone, and leave no volume", async () => {
    const { lines, info } = await run(
      "for d in /app /tmp / /etc /bin /root /var; do touch $d/x 2>/dev/null && echo $d; done; exit 0",
    );
    expect(lines).toEqual(["/app", "/tmp"]);
    const volume = info.Mounts.find(({ Type }) => Type === "volume")?.Name ?? "";
    expect(volume).not.toBe("");
    await expect(docker.getVolume(volume).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  it("let it write to all of its image when they are told to", async () => {
    const other = dockerDriver({ ...options, readOnly: false });
    const { lines } = await run("touch /app/x /tmp/x /root/x && echo all", {}, other);
    await other.close();
    expect(lines).toEqual(["all"]);
  });

  it("confine and limit it as asked", async () => {
    const { info } = await run("exit 0", {
      limits: { memoryBytes: 32 * MIB, memoryKillBytes: 64 * MIB, pids: 40, cpus: 0.5 },
    });
    expect(info.HostConfig).toMatchObject({
      Memory: 64 * MIB,
      MemorySwap: 64 * MIB,
      PidsLimit: 40,
      NanoCpus: 500_000_000,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      OomScoreAdj: 0,
      Init: true,
      LogConfig: { Type: "local" },
      ReadonlyRootfs: true,
    });
  });

  it("carry what the dyno is, for who looks at the engine", async () => {
    const { id, info } = await run("exit 0");
    const { "manifold.handle": handle, ...others } = info.Config.Labels;
    expect(others).toEqual({
      "dynokit.platform": platform,
      "manifold.app": "shop",
      "manifold.dyno": "web.1",
      "manifold.id": id,
      "manifold.release": "r7",
    });
    expect(JSON.parse(handle as string)).toEqual({ labels });
  });

  it.each([
    ["a user that the image has not", { user: "nobody-of-that-name" }, {}],
    ["a directory of the host that is not there", {}, { cwd: "/nonexistent/code" }],
  ])("leave no container behind that did not start: %s", async (_, of, more) => {
    const other = dockerDriver({ ...options, ...of });
    const error: unknown = await other
      .start(specOf({ id: `${platform}-${++counter}`, env: { PATH: "/bin" }, ...more }))
      .catch((reason: unknown) => reason);
    expect(DriverError.is(error)).toBe(true);
    const filters = { label: [`dynokit.platform=${platform}`] };
    // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
    const left = await docker.listContainers({ all: true, filters });
    await other.close();
    expect(left).toEqual([]);
  });

  it("report a program that is not there as 127, with its container removed by destroy", async () => {
    const { exitCode } = await run("no-such-program");
    expect(exitCode).toBe(127);
    const id = `${platform}-${++counter}`;
    await driver.start(specOf({ id, command: ["/no/such/program"] }));
    expect((await driver.wait(id)).exitCode).toBe(127);
    await driver.destroy(id);
    expect(await driver.listEnded?.()).toEqual([]);
  });

  describe("and the network", () => {
    let everywhere: Server;
    let loopback: Server;
    const portOf = (server: Server) => (server.address() as { port: number }).port;
    const listening = async (host: string) => {
      const server = createServer((socket) => socket.end("host\n"));
      server.listen(0, host);
      await once(server, "listening");
      return server;
    };

    beforeAll(async () => {
      everywhere = await listening("0.0.0.0");
      loopback = await listening("127.0.0.1");
    });

    afterAll(async () => {
      for (const server of [everywhere, loopback]) await new Promise((done) => server.close(done));
    });

    // What the guide says of both: services of the host have to be bound to its loopback.
    it.each([true, false])(
      "egress %s: the host only where it listens on all addresses",
      async (egress) => {
        const name = `${platform}-${egress}`;
        const by = dockerDriver({ ...options, network: name, egress });
        // The first start makes the network.
        await run("exit 0", {}, by);
        const network = docker.getNetwork(name);
        const { IPAM, Internal, Options } = await network.inspect();
        const gateway = IPAM?.Config?.[0]?.["Gateway"];
        expect(Internal).toBe(!egress);
        expect(Options).toMatchObject({ "com.docker.network.bridge.enable_icc": "false" });
        const { lines } = await run(
          `for p in ${portOf(everywhere)} ${portOf(loopback)}; do timeout 3 nc ${gateway} $p </dev/null 2>/dev/null || echo refused; done; exit 0`,
          {},
          by,
        );
        await by.close();
        await network.remove();
        expect(lines).toEqual(["host", "refused"]);
      },
    );
  });
});
