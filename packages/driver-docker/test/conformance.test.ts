import { existsSync } from "node:fs";
import { describeDriver } from "@dynokit/manifold/testing";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, it } from "vitest";
import { dockerDriver } from "../src/index.ts";
import { image, importImage } from "./support/image.ts";

const socketPath = process.env["DYNOKIT_TEST_DOCKER"] ?? "/var/run/docker.sock";
const missing = !existsSync(socketPath) || !existsSync("/bin/busybox");
if (missing && (process.env["DYNOKIT_REQUIRE"] ?? "").split(/[\s,]+/).includes("docker"))
  throw new Error(`docker is required but there is no engine at ${socketPath} or no /bin/busybox`);
const title = missing ? "docker driver (skipped: docker has no engine here)" : "docker driver";

describe.skipIf(missing)(title, () => {
  const platform = `kit-${process.pid}`;
  const docker = new Docker({ socketPath });

  beforeAll(() => importImage(docker), 120_000);
  afterAll(async () => {
    // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
    const left = await docker.listContainers({
      all: true,
      filters: { label: [`dynokit.platform=${platform}`] },
    });
    await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
  });

  describeDriver(() => dockerDriver({ socketPath, image, platform }), {
    name: "conformance kit",
    expect: {
      recover: "running-and-results",
      containment: "complete",
      exec: true,
      attach: true,
      tty: true,
      stats: true,
    },
    path: "/bin",
    // A container takes some hundred times as long to start as a process.
    cycles: 5,
    parallel: 8,
    steps: 20,
    granularity: 1_500,
    timeoutMs: 120_000,
    describe,
    it,
  });
});
