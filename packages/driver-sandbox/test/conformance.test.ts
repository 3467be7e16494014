import { describeDriver } from "@dynokit/manifold/testing";
import { afterAll, describe, it } from "vitest";
import { sandboxKit } from "./support/kit.ts";
import { missing, titled } from "./support/requirement.ts";

describe.skipIf(missing)(titled("sandbox driver"), () => {
  if (missing) return;
  const own = sandboxKit();
  afterAll(() => own.remove());
  describeDriver(own.make, {
    ...own.options,
    name: "conformance kit",
    expect: {
      recover: "running-and-results",
      containment: "complete",
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
