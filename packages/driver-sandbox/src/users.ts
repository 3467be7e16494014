import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "@dynokit/manifold";

/**
 * Reserves a user id of the host for the dyno in `directory`, as the process driver does for its own.
 * It is free again when the directory is gone. Throws `unavailable` when all are taken.
 */
export async function reserveUser(
  stateDirectory: string,
  directory: string,
  users: { readonly from: number; readonly count: number },
): Promise<number> {
  const reserved = join(stateDirectory, ".users");
  await mkdir(reserved, { recursive: true, mode: 0o700 });
  for (const name of await readdir(reserved)) {
    const holder = await readFile(join(reserved, name), "utf8").catch(() => "");
    if (holder !== "" && !existsSync(holder)) await rm(join(reserved, name), { force: true });
  }
  for (let uid = users.from; uid < users.from + users.count; uid++) {
    try {
      await writeFile(join(reserved, String(uid)), directory, { flag: "wx" });
      return uid;
    } catch {
      // Another dyno has it.
    }
  }
  throw new DriverError(
    "unavailable",
    `All ${users.count} user ids from ${users.from} are taken; widen the option "users"`,
  );
}
