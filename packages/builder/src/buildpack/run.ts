import { lstat, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BuilderError } from "../errors.ts";
import type { BuildOutput } from "../output.ts";
import { readRelease } from "./release.ts";
import type { LocalBuildpack } from "./resolve.ts";
import type { BuildCommand, BuildExit, BuildRunner } from "./runner.ts";

/** The directories and facts that every program of a build shares. */
export interface BuildpackContext {
  readonly runner: BuildRunner;
  readonly build: { readonly id: string; readonly app: string };
  readonly appDirectory: string;
  readonly cacheDirectory: string;
  readonly envDirectory: string;
  /** Private home and temporary directory of the build. */
  readonly homeDirectory: string;
  readonly temporaryDirectory: string;
  readonly stack: string;
  readonly commit: string | undefined;
  readonly signal: AbortSignal;
  readonly output: BuildOutput;
}

/** What a sequence of buildpacks made of an app. */
export interface BuildpackResult {
  /** What the buildpacks call the app: `Node.js`. */
  readonly descriptions: readonly string[];
  /** Of the last buildpack; without a prototype. */
  readonly processTypes: Record<string, string>;
}

const MAX_CAPTURED_BYTES = 64 * 1024;

/** Writes config vars as the files of `ENV_DIR`: a name, and exactly the value. */
export async function writeEnvDirectory(
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  for (const [name, value] of Object.entries(env))
    await writeFile(join(directory, name), value, { mode: 0o600 });
}

/**
 * Asks one buildpack whether it can build the app. Resolves to the name that it gives the app,
 * or to undefined.
 */
export async function detect(
  buildpack: LocalBuildpack,
  context: BuildpackContext,
): Promise<string | undefined> {
  const { exit, text } = await capture(context, buildpack, "detect", [context.appDirectory], []);
  if (exit.exitCode !== 0) return undefined;
  return text.trim().split("\n")[0]?.slice(0, 200) || buildpack.name;
}

/**
 * Runs `compile` of every buildpack in order, each with what the earlier ones `export`, then
 * `release` of the last one (spec/drivers.md §12.1).
 *
 * @throws BuilderError `build-failed`; `cancelled` once the signal has aborted
 */
export async function compileAll(
  buildpacks: readonly { readonly buildpack: LocalBuildpack; readonly description: string }[],
  context: BuildpackContext,
): Promise<BuildpackResult> {
  const exports: string[] = [];
  const { output } = context;
  for (const { buildpack, description } of buildpacks) {
    output.heading(`${description} app detected`);
    const exit = await run(
      context,
      buildpack,
      "compile",
      [context.appDirectory, context.cacheDirectory, context.envDirectory],
      exports,
      (chunk) => output.write(chunk),
    );
    if (exit.exitCode !== 0)
      throw new BuilderError(
        "build-failed",
        `Push rejected, failed to compile ${description} app (${describeExit(exit)}).`,
        { details: { buildpack: buildpack.name, ...exit } },
      );
    const file = join(buildpack.directory, "export");
    if (await isFile(file)) exports.push(file);
  }
  const last = buildpacks.at(-1);
  const processTypes =
    last === undefined || !(await isFile(join(last.buildpack.directory, "bin", "release")))
      ? (Object.create(null) as Record<string, string>)
      : await release(last.buildpack, context, exports);
  return { descriptions: buildpacks.map(({ description }) => description), processTypes };
}

async function release(
  buildpack: LocalBuildpack,
  context: BuildpackContext,
  exports: readonly string[],
): Promise<Record<string, string>> {
  const { exit, text } = await capture(
    context,
    buildpack,
    "release",
    [context.appDirectory],
    exports,
  );
  if (exit.exitCode !== 0)
    throw new BuilderError(
      "build-failed",
      `bin/release of ${buildpack.name} failed (${describeExit(exit)}).`,
    );
  return readRelease(text, buildpack.name);
}

/** Runs a program whose standard output is an answer, not something to show. */
async function capture(
  context: BuildpackContext,
  buildpack: LocalBuildpack,
  step: "detect" | "release",
  args: readonly string[],
  exports: readonly string[],
): Promise<{ exit: BuildExit; text: string }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const exit = await run(context, buildpack, step, args, exports, (chunk) => {
    bytes += chunk.length;
    if (bytes <= MAX_CAPTURED_BYTES) chunks.push(chunk);
  });
  if (bytes > MAX_CAPTURED_BYTES)
    throw new BuilderError(
      "build-failed",
      `bin/${step} of ${buildpack.name} printed more than ${MAX_CAPTURED_BYTES} bytes.`,
    );
  return { exit, text: Buffer.concat(chunks).toString("utf8") };
}

async function run(
  context: BuildpackContext,
  buildpack: LocalBuildpack,
  step: BuildCommand["step"],
  args: readonly string[],
  exports: readonly string[],
  stdout: (chunk: Uint8Array) => void,
): Promise<BuildExit> {
  const program = join(buildpack.directory, "bin", step);
  if (!(await isFile(program)))
    throw new BuilderError(
      "build-failed",
      `${buildpack.name} is not a buildpack: it has no bin/${step}.`,
    );
  const sourced = exports.map((_file, index) => `. "$${index + 1}"`);
  // `export` files are bash by the Buildpack API.
  const prelude =
    exports.length === 0
      ? []
      : [
          "/usr/bin/env",
          "bash",
          "-c",
          `${sourced.join("; ")}; shift ${exports.length}; exec "$@"`,
          "bash",
          ...exports,
        ];
  const argv = [...prelude, program, ...args] as [string, ...string[]];
  const command: BuildCommand = {
    step,
    build: context.build,
    argv,
    cwd: context.appDirectory,
    env: {
      PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
      HOME: context.homeDirectory,
      TMPDIR: context.temporaryDirectory,
      LANG: "C.UTF-8",
      STACK: context.stack,
      REQUEST_ID: context.build.id,
      ...(context.commit === undefined ? {} : { SOURCE_VERSION: context.commit }),
    },
    paths: [
      { path: context.appDirectory, writable: true },
      { path: context.cacheDirectory, writable: true },
      { path: context.homeDirectory, writable: true },
      { path: context.temporaryDirectory, writable: true },
      { path: buildpack.directory, writable: true },
      { path: context.envDirectory, writable: false },
      ...exports.map((path) => ({ path, writable: false })),
    ],
    signal: context.signal,
    stdout,
    stderr: (chunk) => context.output.write(chunk),
  };
  const exit = await context.runner.run(command).catch((error: unknown) => {
    if (BuilderError.is(error) || context.signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuilderError(
      "build-failed",
      `bin/${step} of ${buildpack.name} could not be run to its end: ${reason}`,
      { cause: error },
    );
  });
  if (context.signal.aborted)
    throw new BuilderError("cancelled", `The build was cancelled during bin/${step}.`);
  await checkDirectories(context, buildpack);
  return exit;
}

/** A link in the place of a directory would lead the builder out of the build. */
async function checkDirectories(
  context: BuildpackContext,
  buildpack: LocalBuildpack,
): Promise<void> {
  for (const path of [context.appDirectory, context.cacheDirectory, context.envDirectory]) {
    if ((await lstat(path).catch(() => undefined))?.isDirectory()) continue;
    throw new BuilderError(
      "build-failed",
      `${buildpack.name} removed or replaced one of the directories it was given.`,
    );
  }
}

function describeExit(exit: BuildExit): string {
  return exit.signal === null ? `status ${exit.exitCode}` : `ended by ${exit.signal}`;
}

async function isFile(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isFile() ?? false;
}
