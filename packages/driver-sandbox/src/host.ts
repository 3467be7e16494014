import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { DriverError } from "@dynokit/manifold";

/** Programs of the host that the driver needs, by their paths. */
export interface Host {
  readonly bwrap: string;
  readonly perl: string;
  /** Shell inside. */
  readonly shell: string;
  /** Arguments of bubblewrap for the read-only system. */
  readonly system: readonly string[];
}

const OPTIONAL_ETC = [
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "alternatives",
  "ssl",
  "ca-certificates",
  "pki",
  "localtime",
  "timezone",
  "mime.types",
  "protocols",
  "services",
];

/** Finds and tries what is needed; throws `unavailable` with what is missing. */
export function probeHost(readOnly: readonly string[]): Host {
  if (process.platform !== "linux")
    throw new DriverError("not-supported", "The sandbox driver needs Linux");
  const bwrap = find("bwrap", "bubblewrap");
  const perl = find("perl", "perl");
  const system = systemArguments(readOnly);
  const tried = spawnSync(
    bwrap,
    [
      ...system,
      "--unshare-user",
      "--unshare-all",
      "--proc",
      "/proc",
      "--dev",
      "/dev",
      "--",
      "/usr/bin/env",
      "--default-signal=TERM",
      "true",
    ],
    { encoding: "utf8", env: {} },
  );
  if (tried.status !== 0) {
    const reason = (tried.stderr || tried.error?.message || "no reason given").trim();
    throw new DriverError(
      "unavailable",
      `bubblewrap can't make a sandbox here: ${reason}. User namespaces must be allowed, and coreutils be 8.31 or newer`,
      { retryable: false },
    );
  }
  return { bwrap, perl, system, shell: existsSync("/usr/bin/bash") ? "/bin/bash" : "/bin/sh" };
}

/** `/usr` and what leads into it, and what programs need of `/etc`. */
function systemArguments(readOnly: readonly string[]): string[] {
  const parameters = ["--ro-bind", "/usr", "/usr"];
  for (const path of ["/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"]) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink()) parameters.push("--symlink", readlinkSync(path), path);
    else if (found) parameters.push("--ro-bind", path, path);
  }
  for (const name of OPTIONAL_ETC)
    if (existsSync(`/etc/${name}`)) parameters.push("--ro-bind", `/etc/${name}`, `/etc/${name}`);
  for (const path of readOnly) {
    if (!existsSync(path))
      throw new DriverError("invalid-spec", `"${path}" of the option "readOnly" does not exist`);
    parameters.push("--ro-bind", path, path);
  }
  return parameters;
}

function find(program: string, packageName: string): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  for (const folder of [...folders, "/usr/local/bin", "/usr/bin", "/bin"])
    if (folder.startsWith("/") && existsSync(join(folder, program))) return join(folder, program);
  throw new DriverError(
    "unavailable",
    `The sandbox driver needs "${program}"; install the package ${packageName}`,
    { retryable: false },
  );
}
