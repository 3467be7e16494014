import { createReadStream } from "node:fs";
import { chmod, cp, lstat, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { extractArchive } from "../archive/extract.ts";
import { BuilderError } from "../errors.ts";
import { cloneRepository } from "../git-clone.ts";
import type { BuilderLimits } from "../limits.ts";
import { download, maskUrl, type NetworkOptions } from "../network/download.ts";
import { stripSingleDirectory } from "../source.ts";
import type { BuildpackReference } from "../types.ts";

/** A buildpack that is on this machine, in a directory of the build. */
export interface LocalBuildpack {
  /** For the output: `heroku/nodejs`, a URL without its secrets, or the caller's name. */
  readonly name: string;
  readonly directory: string;
}

/** The buildpacks that ship with this package, in the order in which they are asked. */
export const bundledBuildpacks = ["nodejs", "static", "procfile"] as const;

/** Where the bundled buildpacks are, found from sources and from the built file alike. */
export function bundledDirectory(name: (typeof bundledBuildpacks)[number]): string {
  const manifest = createRequire(import.meta.url).resolve("@dynokit/builder/package.json");
  return join(dirname(manifest), "buildpacks", name);
}

/** Buildpacks by name: the bundled ones under three spellings, then the registered ones. */
export function namedBuildpacks(
  registered: Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const name of bundledBuildpacks)
    for (const alias of [name, `heroku/${name}`, `urn:buildpack:heroku/${name}`])
      names.set(alias, bundledDirectory(name));
  for (const [name, directory] of Object.entries(registered)) names.set(name, directory);
  return names;
}

/** Options of {@link fetchBuildpack}. */
export interface FetchBuildpackOptions {
  readonly names: ReadonlyMap<string, string>;
  readonly network: NetworkOptions;
  readonly limits: BuilderLimits;
  readonly signal: AbortSignal;
  /** An empty directory for temporary files. */
  readonly scratch: string;
}

/**
 * Brings a buildpack into the new directory `into`: a copy, because a buildpack may write an
 * `export` file into its own directory.
 *
 * @throws BuilderError `bad-request` for an unknown name, and what downloads throw
 */
export async function fetchBuildpack(
  reference: BuildpackReference,
  into: string,
  options: FetchBuildpackOptions,
): Promise<LocalBuildpack> {
  const known = options.names.get(reference.url) ?? options.names.get(reference.name ?? "");
  if (known !== undefined) {
    await cp(known, into, { recursive: true, verbatimSymlinks: true });
    await makeExecutable(into);
    return { name: reference.name ?? reference.url, directory: into };
  }
  let url: URL;
  try {
    url = new URL(reference.url);
  } catch {
    throw unknown(reference.url, options.names);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw unknown(reference.url, options.names);
  const ref = url.hash === "" ? undefined : decodeURIComponent(url.hash.slice(1));
  url.hash = "";
  if (/\.(tgz|tar\.gz|tar)$/.test(url.pathname)) {
    const archive = `${into}.tgz`;
    await download(url.href, archive, {
      ...options.network,
      maxBytes: options.limits.maxSourceBytes,
      signal: options.signal,
    });
    await mkdir(into);
    await extractArchive(createReadStream(archive), into, options.limits, options.signal);
    await stripSingleDirectory(into);
  } else {
    await cloneRepository(url, into, {
      ...options.network,
      ref,
      home: options.scratch,
      signal: options.signal,
    });
  }
  await makeExecutable(into);
  return { name: reference.name ?? maskUrl(url.href), directory: into };
}

/** Some archives forget the mode of the programs. */
async function makeExecutable(directory: string): Promise<void> {
  for (const program of ["detect", "compile", "release"]) {
    const path = join(directory, "bin", program);
    const stat = await lstat(path).catch(() => undefined);
    if (stat?.isFile()) await chmod(path, 0o755);
  }
}

function unknown(url: string, names: ReadonlyMap<string, string>): BuilderError {
  return new BuilderError(
    "bad-request",
    `There is no buildpack ${JSON.stringify(url.slice(0, 200))}. Use an https URL of a git repository or tarball, or one of ${[...names.keys()].join(", ")}.`,
  );
}
