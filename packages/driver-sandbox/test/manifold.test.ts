import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { describeHostileDynos } from "../../../test/support/hostile-dynos.ts";
import { sandboxKit } from "./support/kit.ts";
import { missing, titled } from "./support/requirement.ts";

describe.skipIf(missing)(titled("hostile dynos of a manifold"), () => {
  if (missing) return;
  const kit = sandboxKit();
  describeHostileDynos({
    make: kit.make,
    path: "/usr/local/bin:/usr/bin:/bin",
    leftovers: () => [
      ...readdirSync(kit.stateDirectory).filter((name) => !name.startsWith(".")),
      ...readdirSync(join(kit.stateDirectory, ".net")),
    ],
    remove: kit.remove,
  });
});
