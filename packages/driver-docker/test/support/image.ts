import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";

/** One for each test process, so that it can be removed at the end. */
export const image = `dynokit-test:run-${process.pid}`;

/** An image without a registry: a static shell and this machine's Node with its libraries. */
export async function importImage(docker: Docker): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "dynokit-image-"));
  try {
    fillWithShell(root);
    const node = realpathSync(process.execPath);
    copyFileSync(node, join(root, "bin/node"));
    for (const [, library] of execFileSync("ldd", [node], { encoding: "utf8" }).matchAll(
      /(?:=> )?(\/\S+)/g,
    )) {
      const target = join(root, library as string);
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(realpathSync(library as string), target);
    }
    await importRoot(docker, root, "dynokit-test", `run-${process.pid}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A shell and its tools, of this machine's busybox. */
function fillWithShell(root: string): void {
  for (const folder of ["bin", "usr/bin", "etc", "app", "root", "proc", "sys", "dev", "tmp"])
    mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  chmodSync(join(root, "app"), 0o777);
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n"))
    if (name !== "" && name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
}

async function importRoot(docker: Docker, root: string, repo: string, tag: string): Promise<void> {
  const archive = execFileSync("tar", ["-c", "-C", root, "."], { maxBuffer: 1 << 30 });
  // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
  const progress = await docker.importImage(Readable.from([archive]) as unknown as string, {
    repo,
    tag,
  });
  progress.resume();
  await once(progress, "end");
}

/** For an engine of a test's own: small, and made in no time. */
export const shellImage = "dynokit-test:shell";

export async function importShell(docker: Docker): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "dynokit-image-"));
  try {
    fillWithShell(root);
    await importRoot(docker, root, "dynokit-test", "shell");
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Removes what a suite has made: containers of the platform, the network of that name, the image. */
export async function cleanUp(docker: Docker, platform: string): Promise<void> {
  // biome-ignore lint/nursery/useAwaitThenable: dockerode's overload for callbacks hides the promise.
  const left = await docker.listContainers({
    all: true,
    filters: { label: [`dynokit.platform=${platform}`] },
  });
  await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  // biome-ignore lint/nursery/useAwaitThenable: as above.
  const networks = await docker.listNetworks({ filters: { name: [platform] } });
  await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  // biome-ignore lint/nursery/useAwaitThenable: as above.
  await docker.getImage(image).remove({ force: true });
}
