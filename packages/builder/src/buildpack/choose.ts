import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { BuilderError } from "../errors.ts";
import type { BuilderLimits } from "../limits.ts";
import type { NetworkOptions } from "../network/download.ts";
import type { BuildpackReference } from "../types.ts";
import { fetchBuildpack, type LocalBuildpack } from "./resolve.ts";
import { type BuildpackContext, detect } from "./run.ts";

/** A buildpack that says it can build the app, and what it calls the app. */
export interface ChosenBuildpack {
  readonly buildpack: LocalBuildpack;
  readonly description: string;
}

/**
 * Fetches the buildpacks of a request, which must all accept the app, or finds the first of the
 * default ones that does.
 *
 * @throws BuilderError `build-failed` when a buildpack does not accept the app, or none does
 */
export async function chooseBuildpacks(
  requested: readonly BuildpackReference[],
  context: BuildpackContext,
  options: {
    readonly names: ReadonlyMap<string, string>;
    /** Names of the default buildpacks. */
    readonly detect: readonly string[];
    readonly network: NetworkOptions;
    readonly limits: BuilderLimits;
    /** A new directory for the buildpacks' copies. */
    readonly directory: string;
  },
): Promise<readonly ChosenBuildpack[]> {
  const { output } = context;
  await mkdir(options.directory);
  const fetch = (reference: BuildpackReference, index: number) =>
    fetchBuildpack(reference, join(options.directory, String(index)), {
      names: options.names,
      network: options.network,
      limits: options.limits,
      signal: context.signal,
      scratch: context.temporaryDirectory,
    });
  if (requested.length === 0) {
    output.heading("Determining which buildpack to use for this app");
    for (const [index, name] of options.detect.entries()) {
      const buildpack = await fetch({ url: name }, index);
      const description = await detect(buildpack, context);
      if (description !== undefined) return [{ buildpack, description }];
    }
    throw new BuilderError(
      "build-failed",
      `No default language could be detected for this app. Asked: ${options.detect.join(", ")}. Add a Procfile or a package.json, or set a buildpack.`,
    );
  }
  const chosen: ChosenBuildpack[] = [];
  for (const [index, reference] of requested.entries()) {
    const buildpack = await fetch(reference, index);
    output.heading(`Using buildpack: ${buildpack.name}`);
    const description = await detect(buildpack, context);
    if (description === undefined)
      throw new BuilderError(
        "build-failed",
        `App not compatible with buildpack: ${buildpack.name}. Its bin/detect refused the app.`,
        { details: { buildpack: buildpack.name } },
      );
    chosen.push({ buildpack, description });
  }
  return chosen;
}
