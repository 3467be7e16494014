import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { extractArchive } from "./archive/extract.ts";
import { packDirectory } from "./archive/pack.ts";
import { BuildQueue } from "./build-queue.ts";
import { chooseBuildpacks } from "./buildpack/choose.ts";
import { processRunner } from "./buildpack/process-runner.ts";
import { bundledBuildpacks, namedBuildpacks } from "./buildpack/resolve.ts";
import {
  type BuildpackContext,
  type BuildpackResult,
  compileAll,
  writeEnvDirectory,
} from "./buildpack/run.ts";
import type { BuildRunner } from "./buildpack/runner.ts";
import { checkInCache, checkOutCache } from "./cache.ts";
import { watchDisk } from "./disk-watch.ts";
import { BuilderError } from "./errors.ts";
import { type BuilderLimits, defaultLimits } from "./limits.ts";
import { download, type NetworkOptions } from "./network/download.ts";
import {
  type BuilderClock,
  type BuilderOptions,
  checkAppId,
  checkOptions,
  checkReadFile,
  checkRequest,
  checkSlugInput,
  systemClock,
} from "./options.ts";
import { BuildOutput } from "./output.ts";
import { readProcfile } from "./procfile-reader.ts";
import { readRootFile } from "./read-file.ts";
import { type CollectOptions, SlugStore } from "./slug-store.ts";
import { applySlugIgnore } from "./slugignore.ts";
import { materialiseSource, stripSingleDirectory, verifyArchive } from "./source.ts";
import { emptySubmodules } from "./submodules.ts";
import type { BuildRequest, BuiltSlug, ImportSlugInput, ReadFileInput } from "./types.ts";
import { removeTree, WorkDirectory } from "./work-directory.ts";

/**
 * Turns source code into slugs (spec/drivers.md §12).
 *
 * One build runs at a time for each app; a failed, cancelled or crashed build leaves neither
 * files nor processes behind and the app's cache as it was.
 *
 * @example
 * const builder = new Builder({ directory: "/var/lib/platform/builder" });
 * const slug = await builder.build({
 *   id: "build-1",
 *   app: { id: "app-1", name: "demo" },
 *   source: { kind: "directory", path: "/home/me/demo" },
 *   env: {},
 *   output: (chunk) => process.stdout.write(chunk),
 * });
 */
export class Builder {
  readonly #directory: string;
  readonly #limits: BuilderLimits;
  readonly #stack: string;
  readonly #clock: BuilderClock;
  readonly #queue: BuildQueue;
  readonly #slugs: SlugStore;
  readonly #runner: BuildRunner;
  readonly #network: NetworkOptions;
  readonly #buildpacks: ReadonlyMap<string, string>;
  readonly #detect: readonly string[];
  readonly #closing = new AbortController();
  #swept: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /** @throws BuilderError `bad-request` for options that can't be used */
  constructor(options: BuilderOptions) {
    checkOptions(options);
    this.#directory = options.directory;
    this.#limits = { ...defaultLimits, ...definedOnly(options.limits ?? {}) };
    this.#stack = options.stack ?? "heroku-24";
    this.#clock = options.clock ?? systemClock;
    this.#queue = new BuildQueue({
      concurrency: options.concurrency ?? 1,
      maxQueued: this.#limits.maxQueued,
    });
    this.#runner = options.runner ?? processRunner();
    this.#network = options.network ?? {};
    this.#buildpacks = namedBuildpacks(options.buildpacks ?? {});
    this.#detect = options.detect ?? bundledBuildpacks;
    this.#slugs = new SlugStore(join(this.#directory, "slugs"), () => this.#clock.now());
  }

  /** Builds that wait for their turn. */
  get queued(): number {
    return this.#queue.queued;
  }

  /**
   * Builds one slug. Resolves when it is durable in the store.
   *
   * @throws BuilderError with any code of `builderErrors`
   */
  async build(request: BuildRequest): Promise<BuiltSlug> {
    checkRequest(request);
    return await this.#enqueue(request.app.id, request.signal, async (signal, refuse) => {
      const output = new BuildOutput(request.output, this.#limits.maxOutputBytes);
      try {
        return await this.#inWorkDirectory(refuse, (work) =>
          this.#build(request, work, output, signal),
        );
      } finally {
        output.finish();
      }
    });
  }

  /**
   * Takes an archive that was built elsewhere into the store, repacked and checked as if it had
   * been built here.
   */
  async importSlug(input: ImportSlugInput): Promise<BuiltSlug> {
    checkSlugInput(input);
    return await this.#enqueue(`import ${input.path}`, input.signal, (signal, refuse) =>
      this.#inWorkDirectory(refuse, async (work) => {
        await verifyArchive(input.path, this.#limits, input.checksum, signal);
        await extractArchive(createReadStream(input.path), work.app, this.#limits, signal);
        await stripSingleDirectory(work.app, "app");
        return await this.#store(work, signal, {
          processTypes: copyTypes(input.processTypes),
          stack: input.stack ?? this.#stack,
          commit: input.commit,
          buildpackDescription: input.buildpackDescription,
        });
      }),
    );
  }

  /**
   * Reads one file of a source without building anything; `undefined` when there is none of that
   * name. Takes a place in the queue like a build, since it unpacks the whole source.
   *
   * @throws BuilderError `bad-source-file` for a link, a directory or a file that is too long
   */
  async readFile(input: ReadFileInput): Promise<Uint8Array | undefined> {
    checkReadFile(input);
    return await this.#enqueue(`read ${randomUUID()}`, input.signal, (signal, refuse) =>
      this.#inWorkDirectory(refuse, async (work) => {
        await this.#fetchSource(input, work, signal);
        return await readRootFile(work.app, input.name, input.maxBytes ?? 1024 * 1024);
      }),
    );
  }

  /** Removes a slug's archive. An unknown id is fine; dynos that unpack it right now finish. */
  async removeSlug(id: string): Promise<void> {
    await this.#slugs.remove(id);
  }

  /**
   * Removes every slug that is not kept and not young; returns the ids removed. Equal code of
   * two apps is one slug, so `keep` must name what any app needs.
   */
  async collect(options: CollectOptions): Promise<readonly string[]> {
    return await this.#slugs.collect(options);
  }

  /** Empties the build cache of an app, after its running build. */
  async clearCache(appId: string): Promise<void> {
    checkAppId(appId);
    await this.#enqueue(appId, undefined, () => removeTree(this.#cacheOf(appId)));
  }

  /**
   * Ends the processes and removes the files that builds of an earlier life left when it was
   * killed. The first build does it too; a platform calls it when it starts, so that they don't
   * go on until then.
   */
  async sweep(): Promise<void> {
    this.#swept ??= (async () => {
      // The processes first: they write into the directories.
      await this.#runner.sweep?.();
      await mkdir(this.#workParent, { recursive: true, mode: 0o700 });
      await WorkDirectory.sweep(this.#workParent);
    })().catch((error: unknown) => {
      this.#swept = undefined;
      throw error;
    });
    await this.#swept;
  }

  /** Cancels what runs and waits; resolves when no process and no temporary file is left. */
  async close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort();
      await this.#queue.idle();
      // Whoever began it hears of a failure.
      await this.#swept?.catch(() => undefined);
    })();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #build(
    request: BuildRequest,
    work: WorkDirectory,
    output: BuildOutput,
    signal: AbortSignal,
  ): Promise<BuiltSlug> {
    await this.#fetchSource(request, work, signal);
    const submodules = await emptySubmodules(work.app);
    if (submodules !== undefined) output.warning(submodules);
    const ignored = await applySlugIgnore(work.app);
    for (const warning of ignored.warnings) output.warning(warning);
    // A broken Procfile is told before a long build, not after it.
    await readProcfile(work.app);
    const { source } = request;
    const commit = request.commit ?? (source.kind === "git" ? source.commit : undefined);
    const { descriptions, processTypes: defaults } = await this.#compile(
      request,
      work,
      commit,
      output,
      signal,
    );
    const procfile = await readProcfile(work.app);
    output.heading("Discovering process types");
    output.detail(`Procfile declares types     -> ${listNames(procfile.processTypes)}`);
    output.detail(`Default types for buildpack -> ${listNames(defaults)}`);
    for (const warning of procfile.warnings) output.warning(warning);
    output.heading("Compressing...");
    const slug = await this.#store(work, signal, {
      processTypes: copyTypes({ ...defaults, ...procfile.processTypes }),
      stack: this.#stack,
      commit,
      buildpackDescription: descriptions.join(", "),
    });
    const kept = await checkInCache(
      work.path("cache"),
      this.#cacheOf(request.app.id),
      work.path("cache.old"),
      this.#limits.maxCacheBytes,
    );
    output.detail(`Done: ${megabytes(slug.size)}`);
    if (!kept) output.warning("The build cache was too large and has been dropped.");
    return slug;
  }

  async #fetchSource(
    request: Pick<BuildRequest, "source" | "checksum">,
    work: WorkDirectory,
    signal: AbortSignal,
  ): Promise<void> {
    const { source, checksum } = request;
    const options = { limits: this.#limits, checksum, signal };
    if (source.kind !== "url") {
      await materialiseSource(source, work.app, options);
      return;
    }
    const path = work.path("source.tgz");
    await download(source.url, path, {
      ...this.#network,
      maxBytes: this.#limits.maxSourceBytes,
      signal,
    });
    await materialiseSource({ kind: "tarball", path }, work.app, options);
  }

  async #compile(
    request: BuildRequest,
    work: WorkDirectory,
    commit: string | undefined,
    output: BuildOutput,
    signal: AbortSignal,
  ): Promise<BuildpackResult> {
    const context: BuildpackContext = {
      runner: this.#runner,
      build: { id: request.id, app: request.app.id },
      appDirectory: work.app,
      cacheDirectory: work.path("cache"),
      envDirectory: work.path("env"),
      homeDirectory: work.path("home"),
      temporaryDirectory: work.path("tmp"),
      stack: this.#stack,
      commit,
      signal,
      output,
    };
    await mkdir(context.homeDirectory);
    await mkdir(context.temporaryDirectory);
    await writeEnvDirectory(context.envDirectory, request.env);
    await checkOutCache(this.#cacheOf(request.app.id), context.cacheDirectory);
    output.heading(`Building on the ${this.#stack} stack`);
    const chosen = await chooseBuildpacks(request.buildpacks ?? [], context, {
      names: this.#buildpacks,
      detect: this.#detect,
      network: this.#network,
      limits: this.#limits,
      directory: work.path("buildpacks"),
    });
    return await compileAll(chosen, context);
  }

  async #store(
    work: WorkDirectory,
    signal: AbortSignal,
    facts: {
      readonly processTypes: Record<string, string>;
      readonly stack: string;
      readonly commit: string | undefined;
      readonly buildpackDescription: string | undefined;
    },
  ): Promise<BuiltSlug> {
    const archive = work.path("slug.tgz");
    const packed = await packDirectory(work.app, archive, {
      maxBytes: this.#limits.maxSlugBytes,
      maxFiles: this.#limits.maxFiles,
      rootAliases: [work.app, "/app"],
      signal,
    });
    const { id, path } = await this.#slugs.adopt(archive, packed.sha256);
    const { commit, buildpackDescription } = facts;
    return {
      id,
      checksum: `SHA256:${packed.sha256}`,
      path,
      size: packed.size,
      processTypes: facts.processTypes,
      stack: facts.stack,
      ...(commit === undefined ? {} : { commit }),
      ...(buildpackDescription === undefined ? {} : { buildpackDescription }),
    };
  }

  /**
   * Waits its turn, then runs under one signal for cancel, close, time-out and `refuse`, whose
   * error is what the caller gets.
   */
  async #enqueue<T>(
    key: string,
    userSignal: AbortSignal | undefined,
    task: (signal: AbortSignal, refuse: (error: BuilderError) => void) => Promise<T>,
  ): Promise<T> {
    if (this.#closing.signal.aborted) throw closed();
    const cancel = AbortSignal.any([
      this.#closing.signal,
      ...(userSignal === undefined ? [] : [userSignal]),
    ]);
    try {
      return await this.#queue.run(key, cancel, async () => {
        const breach = new AbortController();
        const refuse = (error: BuilderError) => breach.abort(error);
        const { timeoutMs } = this.#limits;
        const stop = this.#clock.after(timeoutMs, () => refuse(tookTooLong(timeoutMs)));
        try {
          return await task(AbortSignal.any([cancel, breach.signal]), refuse);
        } catch (error) {
          if (!cancel.aborted && breach.signal.aborted) throw breach.signal.reason;
          throw error;
        } finally {
          stop();
        }
      });
    } catch (error) {
      if (cancel.aborted && !BuilderError.is(error))
        throw new BuilderError("cancelled", "The build was cancelled.", { cause: error });
      throw error;
    }
  }

  async #inWorkDirectory<T>(
    refuse: (error: BuilderError) => void,
    task: (work: WorkDirectory) => Promise<T>,
  ): Promise<T> {
    await this.sweep();
    const work = await WorkDirectory.create(this.#workParent);
    const watch = watchDisk(work.root, this.#limits, refuse);
    try {
      await watch.checked;
      return await task(work);
    } finally {
      await watch.stop();
      await work.remove();
    }
  }

  get #workParent(): string {
    return join(this.#directory, "work");
  }

  #cacheOf(appId: string): string {
    return join(this.#directory, "cache", appId);
  }
}

function tookTooLong(limit: number): BuilderError {
  return new BuilderError(
    "timeout",
    `The build took longer than ${limit / 1000} seconds and was stopped. Make it shorter, or raise \`limits.timeoutMs\`.`,
    { details: { limit, name: "timeoutMs" } },
  );
}

function closed(): BuilderError {
  return new BuilderError("closed", "The builder is closed. Make a new one.");
}

function copyTypes(types: Readonly<Record<string, string>>): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, types);
}

function definedOnly<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as Partial<T>;
}

function listNames(types: Readonly<Record<string, string>>): string {
  return Object.keys(types).join(", ") || "(none)";
}

/** `40.1M`, as Heroku prints it. */
export function megabytes(bytes: number): string {
  return bytes < 1024 * 1024
    ? `${Math.max(1, Math.round(bytes / 102.4) / 10)}K`
    : `${(bytes / 1024 / 1024).toFixed(1)}M`;
}
