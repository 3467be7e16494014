import { describeDriver } from "@dynokit/manifold/testing";
import { afterAll, describe, it } from "vitest";
import { sandboxKit, wholeKit } from "./support/kit.ts";
import { runc } from "./support/requirement.ts";

describe.skipIf(runc.missing)(runc.titled("sandbox driver"), () => {
  if (runc.missing) return;
  const own = sandboxKit({ runtime: "runc" });
  afterAll(() => own.remove());
  describeDriver(own.make, {
    ...own.options,
    ...wholeKit,
    name: "conformance kit",
    expect: {
      ...wholeKit.expect,
      limits: { memory: "hard", pids: "hard", cpu: true, disk: true },
    },
    describe,
    it,
  });
});
