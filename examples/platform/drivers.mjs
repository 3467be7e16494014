// What runs dynos and builds: processes, sandboxes or containers.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { dynoRunner } from "@dynokit/builder";
import { processDriver } from "@dynokit/manifold";
import { hasImage, hostImage, makeHostImage } from "./host-image.mjs";
import { OperatorError } from "./options.mjs";

/** Drivers for dynos and for builds, and what runs buildpacks with the second. */
export async function openDrivers({ driver: name, egress, image, dockerSocket, data, build }) {
  try {
    if (name === "sandbox") return await sandboxes({ egress, data, build });
    if (name === "docker") return await containers({ egress, image, dockerSocket, data });
  } catch (error) {
    if (error.code === "unavailable" || error.code === "not-supported")
      throw new OperatorError(`Dynos can't run with --driver ${name}: ${error.message}`);
    throw error;
  }
  return {
    dynos: processDriver({ stateDirectory: join(data, "dynos") }),
    ...processBuilds(data),
  };
}

function processBuilds(data) {
  const builds = processDriver({ stateDirectory: join(data, "build-dynos") });
  return { builds, runner: dynoRunner({ driver: builds }) };
}

async function sandboxes({ egress = "none", data, build }) {
  const { sandboxDriver } = await import("@dynokit/driver-sandbox");
  // As root every dyno has a user of its own, which can't look into the data of the platform.
  const own = createHash("sha256").update(data).digest("hex").slice(0, 12);
  const home = process.getuid?.() === 0 ? `/var/lib/dynokit/platform-${own}` : data;
  const builds = sandboxDriver({
    stateDirectory: join(home, "build-dynos"),
    egress,
    hostPaths: [build],
    users: { from: 500_000, count: 10_000 },
  });
  return {
    dynos: sandboxDriver({ stateDirectory: join(home, "dynos"), egress }),
    builds,
    runner: dynoRunner({ driver: builds, config: ({ paths }) => ({ paths }) }),
  };
}

async function containers({ egress = "open", image = hostImage, dockerSocket, data }) {
  if (egress === "host")
    throw new OperatorError("--egress host is for --driver sandbox; containers have none or open.");
  const { dockerDriver } = await import("@dynokit/driver-docker");
  const platform = createHash("sha256").update(data).digest("hex").slice(0, 12);
  const dynos = dockerDriver({
    image,
    socketPath: dockerSocket,
    platform,
    egress: egress === "open",
    network: egress === "open" ? "dynokit" : "dynokit-closed",
  });
  await reachable(dynos, dockerSocket);
  if (!(await hasImage(dockerSocket, image))) {
    if (image !== hostImage)
      throw new OperatorError(
        `--driver docker: the engine has no image "${image}"; get it by "docker pull ${image}", or leave --image out for one that is made of this machine's Node.`,
      );
    console.log(`Making the image ${image} of this machine's Node and shell …`);
    await makeHostImage(dockerSocket);
  }
  // Builds work in directories of this host with its programs.
  console.log(
    "Builds run as processes of this host, not in containers: deploy only code that you trust, or take --driver sandbox.",
  );
  return { dynos, ...processBuilds(data) };
}

async function reachable(driver, socket) {
  try {
    await driver.list();
  } catch {
    throw new OperatorError(
      `--driver docker: no Docker Engine answers at ${socket}; start it, or give its socket with --docker-socket.`,
    );
  }
}
