import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../driver/errors.ts";

/**
 * Reserves a user id of the host for the dyno in `directory`, by a file below `stateDirectory`. It is
 * free again when the directory is gone. For drivers that start dynos through the process driver's
 * supervisor and give their files away themselves.
 *
 * @throws DriverError `unavailable` when all are taken.
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

/** Reserves a user id for the dyno and gives it the copy of the code. */
export async function giveToUser(
  stateDirectory: string,
  directory: string,
  users: { readonly from: number; readonly count: number },
): Promise<number> {
  const uid = await reserveUser(stateDirectory, directory, users);
  if (existsSync(join(directory, "app"))) {
    const child = spawn("chown", ["-R", "-h", `${uid}:${uid}`, join(directory, "app")], {
      stdio: "ignore",
    });
    const [code] = (await once(child, "exit")) as [number];
    if (code !== 0)
      throw new DriverError("failed", `chown of the app directory ended with ${code}`);
  }
  return uid;
}
