import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describeHostileDynos } from "../../../test/support/hostile-dynos.ts";
import { sandboxKit } from "./support/kit.ts";
import { describeWalls } from "./support/requirement.ts";

describeWalls("hostile dynos of a manifold", (runtime) => {
  const kit = sandboxKit({ runtime });
  describeHostileDynos({
    make: kit.make,
    path: "/usr/local/bin:/usr/bin:/bin",
    leftovers: () => [
      ...readdirSync(kit.stateDirectory).filter((name) => !name.startsWith(".")),
      ...readdirSync(join(kit.stateDirectory, ".net")),
      ...(runtime === "bwrap" ? [] : readdirSync(join(kit.stateDirectory, ".sandbox/containers"))),
    ],
    remove: kit.remove,
  });
});
