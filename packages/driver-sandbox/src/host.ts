import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { DriverError } from "@dynokit/manifold";
import type { Settings } from "./options.ts";

/** Programs of the host that the driver needs, by their paths. */
export interface Host {
  /** bubblewrap, or the OCI runtime. */
  readonly runtime: string;
  readonly perl: string;
  /** Shell inside. */
  readonly shell: string;
  readonly system: SystemTree;
}

/** The read-only system: `/usr` and what leads into it, and what programs need of `/etc`. */
export interface SystemTree {
  /** Paths that are what they are on the host. */
  readonly binds: readonly string[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
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

/** Finds what is needed, and tries bubblewrap; throws `unavailable` with what is missing. */
export function probeHost({ readOnly, runtime }: Pick<Settings, "readOnly" | "runtime">): Host {
  if (process.platform !== "linux")
    throw new DriverError("not-supported", "The sandbox driver needs Linux");
  const host = {
    runtime: runtime === "bwrap" ? find("bwrap", "bubblewrap") : find(runtime, runtime),
    perl: find("perl", "perl"),
    system: systemTree(readOnly),
    shell: existsSync("/usr/bin/bash") ? "/bin/bash" : "/bin/sh",
  };
  if (runtime === "bwrap") tryBubblewrap(host.runtime, host.system);
  return host;
}

/** Arguments of bubblewrap for it. */
export function systemArguments({ binds, links }: SystemTree): string[] {
  return [
    ...binds.flatMap((path) => ["--ro-bind", path, path]),
    ...links.flatMap(({ path, target }) => ["--symlink", target, path]),
  ];
}

function tryBubblewrap(bwrap: string, system: SystemTree): void {
  const tried = spawnSync(
    bwrap,
    [
      ...systemArguments(system),
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
}

function systemTree(readOnly: readonly string[]): SystemTree {
  const binds = ["/usr"];
  const links: { path: string; target: string }[] = [];
  for (const path of ["/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"]) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink()) links.push({ path, target: readlinkSync(path) });
    else if (found) binds.push(path);
  }
  for (const name of OPTIONAL_ETC) if (existsSync(`/etc/${name}`)) binds.push(`/etc/${name}`);
  for (const path of readOnly) {
    if (!existsSync(path))
      throw new DriverError("invalid-spec", `"${path}" of the option "readOnly" does not exist`);
    binds.push(path);
  }
  return { binds, links };
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
