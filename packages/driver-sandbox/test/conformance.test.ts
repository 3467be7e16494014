import { describeDriver } from "@dynokit/manifold/testing";
import { afterAll, describe, it } from "vitest";
import { sandboxKit, wholeKit } from "./support/kit.ts";
import { missing, titled } from "./support/requirement.ts";

describe.skipIf(missing)(titled("sandbox driver"), () => {
  if (missing) return;
  const own = sandboxKit();
  afterAll(() => own.remove());
  describeDriver(own.make, {
    ...own.options,
    ...wholeKit,
    name: "conformance kit",
    describe,
    it,
  });
});
