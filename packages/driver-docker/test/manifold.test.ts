import Docker from "dockerode";
import { beforeAll, describe } from "vitest";
import { describeHostileDynos } from "../../../test/support/hostile-dynos.ts";
import { dockerDriver } from "../src/index.ts";
import { cleanUp, image, importImage } from "./support/image.ts";
import { missing, socketPath, titled } from "./support/requirement.ts";

describe.skipIf(missing)(titled("hostile dynos of a manifold"), () => {
  const platform = `hostile-manifold-${process.pid}`;
  const docker = new Docker({ socketPath });

  beforeAll(() => importImage(docker), 120_000);

  describeHostileDynos({
    make: () => dockerDriver({ socketPath, image, platform, network: platform }),
    path: "/bin",
    slow: true,
    refusesLinks: true,
    leftovers: async () => {
      // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
      const all = await docker.listContainers({
        all: true,
        filters: { label: [`dynokit.platform=${platform}`] },
      });
      return all.map(({ Names }) => Names.join());
    },
    remove: () => cleanUp(docker, platform),
  });
});
