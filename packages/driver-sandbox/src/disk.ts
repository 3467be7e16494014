import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { rm, rmdir, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DriverError, runProgram } from "@dynokit/manifold";

/** Below it a file system has no room for anything. */
export const MIN_DISK_BYTES = 1_048_576;

let able: boolean | undefined;

/** Whether a file can be made a disk and mounted here; tried once per program. */
export function canMountDisks(): boolean {
  if (able !== undefined) return able;
  const image = join(tmpdir(), `dynokit-disk-${randomUUID()}`);
  const script =
    'trap \'rm -f "$1"\' EXIT; truncate -s 1M "$1"; mkfs.ext4 -q -O ^has_journal "$1"; ' +
    'unshare --mount sh -ec \'mount -t tmpfs none /mnt; mkdir /mnt/d; mount -o loop,nosuid,nodev "$0" /mnt/d\' "$1"';
  able =
    process.getuid?.() === 0 &&
    spawnSync("sh", ["-ec", script, "sh", image], { stdio: "ignore" }).status === 0;
  return able;
}

/**
 * Puts the code of a dyno, which is in `directory`, on a disk of its own of this size, mounted in
 * its place until `unmount` (spec/drivers.md §5.7). A sandbox made meanwhile keeps it, and the
 * kernel takes it away with the sandbox. Throws `failed` when the code does not fit.
 */
export async function mountDisk(directory: string, image: string, bytes: number): Promise<void> {
  const { uid, gid } = await stat(directory);
  await writeFile(image, "", { mode: 0o600, flag: "wx" });
  await truncate(image, Math.floor(bytes));
  // No journal: after a crash of the machine no dyno comes back.
  const options = ["-O", "^has_journal", "-m", "0", "-E", `root_owner=${uid}:${gid}`];
  try {
    await runProgram("mkfs.ext4", ["-q", ...options, "-d", directory, image]);
  } catch (cause) {
    throw new DriverError(
      "failed",
      `The code does not fit on a disk of ${bytes} bytes; raise "diskBytes"`,
      { cause, retryable: false },
    );
  }
  for (const name of readdirSync(directory))
    await rm(join(directory, name), { recursive: true, force: true });
  await runProgram("mount", ["-o", "loop,nosuid,nodev", image, directory]);
  // The mount holds it: so it goes with the mount, whoever ends the dyno.
  await rm(image);
  await rmdir(join(directory, "lost+found"));
}

/** Takes what is mounted in the directory of a dyno out of the host's view. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const row of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    // Spaces and the like are written as \040.
    const path = (row.split(" ")[4] ?? "").replaceAll(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (path.startsWith(`${directory}/`)) await runProgram("umount", ["--lazy", path]);
  }
}
