import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { DriverHandle, DynoSpec } from "../../driver/contract.ts";
import type { HostAbilities } from "./host.ts";
import type { ParsedOptions } from "./options.ts";
import type { LaunchSpec } from "./shim.ts";
import { giveToUser } from "./users.ts";

/** The name of this driver in its handles. */
export const DRIVER_NAME = "process";

/** What finds a dyno again that is about to start. */
export function newHandle(spec: DynoSpec, port: number | undefined): DriverHandle {
  return {
    version: 1,
    driver: DRIVER_NAME,
    id: spec.id,
    labels: spec.labels,
    startedAt: Date.now(),
    ...(port === undefined ? {} : { address: { host: "127.0.0.1", port } }),
    data: { nonce: randomUUID() },
  };
}

/** All that a supervisor has to know of its dyno, whose directory has its code already. */
export async function launchSpec(
  directory: string,
  spec: DynoSpec,
  handle: DriverHandle,
  host: HostAbilities,
  options: ParsedOptions,
): Promise<LaunchSpec> {
  const home = spec.cwd ?? join(directory, "app");
  const env: Record<string, string> = { ...spec.env };
  // The copy of the code is the only home such a dyno can have on a shared file system.
  if (spec.cwd === undefined || env["HOME"] === undefined) env["HOME"] = home;
  if (handle.address && "port" in handle.address) env["PORT"] = String(handle.address.port);
  return {
    handle,
    id: spec.id,
    nonce: handle.data?.["nonce"],
    command: spec.command,
    env,
    directory: home,
    shell: host.shell,
    setpriv: host.setpriv,
    uid: await userOf(directory, options),
    limits: spec.limits ?? {},
    groups: host.groups,
    init: !host.grouped && host.init,
    tty: spec.tty,
    stdin: spec.stdin ?? false,
    logs: { ...options.logs, replay: spec.stdin === true || spec.tty !== undefined },
  };
}

/** With own users: the first that no dyno has, to which the code is given. */
async function userOf(
  directory: string,
  { stateDirectory, users }: ParsedOptions,
): Promise<number | undefined> {
  if (!users) return undefined;
  return giveToUser(stateDirectory, directory, users);
}
