import { realpathSync } from "node:fs";
import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DriverError, type DynoSpec, runProgram } from "@dynokit/manifold";

/** A path of the host that one dyno has, at the same place. */
export interface HostPath {
  readonly path: string;
  readonly writable: boolean;
  /** Where bubblewrap finds it: as root a place that the dyno's user can reach. */
  readonly source: string;
}

/** Per-dyno options (`DynoSpec.config`). */
export const configSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  properties: {
    paths: {
      type: "array",
      description: "Paths of the host that the dyno has at the same place.",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["path"],
        properties: { path: { type: "string" }, writable: { type: "boolean" } },
      },
    },
  },
} as const;

/**
 * The paths that a dyno asks for by `config.paths`, outer ones first; undefined when it asks for
 * none. Throws `not-supported` for one that is not below one of the roots, links followed.
 */
export function hostPathsOf(
  spec: DynoSpec,
  roots: readonly string[],
  directory: string | undefined,
): readonly HostPath[] | undefined {
  const asked = spec.config?.["paths"];
  if (asked === undefined) return undefined;
  if (!Array.isArray(asked)) throw new DriverError("invalid-spec", '"config.paths" is not a list');
  const real = roots.map((root) => realpathSync(root));
  const seen = new Map<string, boolean>();
  for (const entry of asked as readonly Partial<Record<string, unknown>>[]) {
    const path: unknown = entry?.["path"];
    if (typeof path !== "string" || resolve(path) !== path)
      throw new DriverError(
        "invalid-spec",
        `"${String(path)}" of "config.paths" is not an absolute path`,
      );
    let target: string;
    try {
      target = realpathSync(path);
    } catch (cause) {
      throw new DriverError("invalid-spec", `"${path}" of "config.paths" does not exist`, {
        cause,
      });
    }
    if (!real.some((root) => target === root || target.startsWith(`${root}/`)))
      throw new DriverError(
        "not-supported",
        `"${path}" of "config.paths" is not below a directory of the option "hostPaths"`,
      );
    seen.set(path, entry["writable"] === true);
  }
  const paths = [...seen].sort(([left], [right]) => (left < right ? -1 : 1));
  return paths.map(([path, writable], index) => ({
    path,
    writable,
    source: directory === undefined ? path : join(directory, "paths", String(index)),
  }));
}

/** As root: gives them to the dyno's user, and mounts them where that can reach them. */
export async function mountPaths(
  paths: readonly HostPath[],
  directory: string,
  uid: number,
): Promise<void> {
  await mkdir(join(directory, "paths"));
  await chmod(join(directory, "paths"), 0o711);
  for (const { path, source } of paths) {
    if ((await stat(path)).isDirectory()) await mkdir(source);
    else await writeFile(source, "");
    await runProgram("chown", ["-R", "-h", `${uid}:${uid}`, path]);
    await runProgram("mount", ["--bind", path, source]);
  }
}
