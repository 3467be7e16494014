import { describeDriver } from "@dynokit/manifold/testing";
import { afterAll, describe, it } from "vitest";
import { sandboxKit } from "./support/kit.ts";
import { runc } from "./support/requirement.ts";

describe.skipIf(runc.missing)(runc.titled("sandbox driver"), () => {
  if (runc.missing) return;
  const own = sandboxKit({ runtime: "runc" });
  afterAll(() => own.remove());
  describeDriver(own.make, {
    ...own.options,
    name: "conformance kit",
    expect: {
      recover: "running-and-results",
      containment: "complete",
      limits: { memory: "hard", pids: "hard", cpu: true, disk: true },
      exec: true,
      attach: true,
      isolation: { env: true, filesystem: true, network: true, processes: true },
    },
    cycles: 20,
    parallel: 20,
    steps: 40,
    granularity: 500,
    describe,
    it,
  });
});
