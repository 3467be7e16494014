import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver/errors.ts";
import { runProgram } from "../../driver/run-program.ts";

/**
 * Reserves a user id of the host for the dyno in `directory`, by a file below `stateDirectory`, and
 * gives it the copy of the code. The id is free again when the directory is gone. For drivers too that
 * start dynos through the process driver's supervisor and change the user by themselves.
 *
 * @throws DriverError `unavailable` when all are taken, `failed` when the code can't be given.
 */
export async function giveToUser(
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
    } catch {
      // Another dyno has it.
      continue;
    }
    const app = join(directory, "app");
    if (existsSync(app)) await runProgram("chown", ["-R", "-h", `${uid}:${uid}`, app]);
    return uid;
  }
  throw new DriverError(
    "unavailable",
    `All ${users.count} user ids from ${users.from} are taken; widen the option "users"`,
  );
}
