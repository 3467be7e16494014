export { Builder } from "./builder.ts";
export {
  type BuildDriver,
  type BuildDynoLimits,
  type DynoRunnerOptions,
  dynoRunner,
} from "./buildpack/dyno-runner.ts";
export { type ProcessRunnerOptions, processRunner } from "./buildpack/process-runner.ts";
export type { BuildCommand, BuildExit, BuildRunner } from "./buildpack/runner.ts";
export { BuilderError, type BuilderErrorCode, builderErrors } from "./errors.ts";
export { type BuilderLimits, defaultLimits } from "./limits.ts";
export type { FetchBytes, FetchedBytes, NetworkOptions } from "./network/download.ts";
export type { ResolveHost } from "./network/guard.ts";
export { type BuilderClock, type BuilderOptions, systemClock } from "./options.ts";
export type { CollectOptions } from "./slug-store.ts";
export type {
  BuildpackReference,
  BuildRequest,
  BuildSource,
  BuiltSlug,
  DirectorySource,
  GitSource,
  ImportSlugInput,
  ReadFileInput,
  TarballSource,
  UrlSource,
} from "./types.ts";
