import { describeDriver } from "@dynokit/manifold/testing";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, it } from "vitest";
import { dockerDriver } from "../src/index.ts";
import { cleanUp, image, importImage } from "./support/image.ts";
import { missing, socketPath, titled } from "./support/requirement.ts";

describe.skipIf(missing)(titled("docker driver"), () => {
  const platform = `kit-${process.pid}`;
  const docker = new Docker({ socketPath });

  beforeAll(() => importImage(docker), 120_000);
  afterAll(() => cleanUp(docker, platform));

  describeDriver(() => dockerDriver({ socketPath, image, platform, network: platform }), {
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
