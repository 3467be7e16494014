import { isAbsolute } from "node:path";
import { z } from "zod";
import type { BuildRunner } from "./buildpack/runner.ts";
import { BuilderError } from "./errors.ts";
import { type BuilderLimits, defaultLimits } from "./limits.ts";
import type { NetworkOptions } from "./network/download.ts";
import type { BuildRequest, ImportSlugInput, ReadFileInput } from "./types.ts";

/** The part of a clock that builds need; for tests. */
export interface BuilderClock {
  /** ms since the epoch. */
  now(): number;
  /** Calls back once after `ms`; returns what cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** The machine's clock. Its timers don't keep a process alive. */
export const systemClock: BuilderClock = Object.freeze({
  now: () => Date.now(),
  after: (ms: number, callback: () => void) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
});

/** Options of `new Builder`. */
export interface BuilderOptions {
  /** Absolute path; `slugs`, `cache` and `work` are made in it, on one file system. */
  readonly directory: string;
  readonly limits?: Partial<BuilderLimits>;
  /** Builds at the same time on this host. Default 1. */
  readonly concurrency?: number;
  /** Name of the stack for `STACK` and the slug. Default `heroku-24`. */
  readonly stack?: string;
  /** What runs buildpacks. Default `processRunner()`: processes of this host, not isolated. */
  readonly runner?: BuildRunner;
  /** More buildpacks by name; the value is the absolute path of a directory. */
  readonly buildpacks?: Readonly<Record<string, string>>;
  /**
   * Names of buildpacks asked in this order when a request names none. Default: the bundled
   * `nodejs`, `static`, `procfile`.
   */
  readonly detect?: readonly string[];
  readonly network?: NetworkOptions;
  readonly clock?: BuilderClock;
}

const path = z.string().refine((value) => isAbsolute(value) && !value.includes("\0"), {
  message: "must be an absolute path",
});
const positive = z.number().int().positive();
const name = z.string().regex(/^[\w][\w.-]{0,127}$/, {
  message: "must be letters, digits, `_`, `.` and `-`, at most 128",
});

const limitNames = Object.keys(defaultLimits) as (keyof BuilderLimits)[];
const options = z.object({
  directory: path,
  limits: z
    .strictObject(Object.fromEntries(limitNames.map((key) => [key, positive.optional()])))
    .optional(),
  concurrency: positive.optional(),
  stack: name.optional(),
  buildpacks: z.record(z.string(), path).optional(),
  detect: z.array(z.string()).min(1).optional(),
});

const source = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("tarball"), path }),
  z.object({ kind: z.literal("url"), url: z.url({ protocol: /^https?$/ }) }),
  z.object({ kind: z.literal("directory"), path }),
  z.object({
    kind: z.literal("git"),
    repository: path,
    commit: z.string(),
    objectDirectory: path.optional(),
    alternateObjectDirectories: z.string().optional(),
  }),
]);
const environment = z.record(
  z.string().regex(/^\w+$/, { message: "must be letters, digits and `_`" }),
  z.string(),
);
const request = z.object({
  id: name,
  app: z.object({ id: name, name: z.string() }),
  source,
  checksum: z.string().optional(),
  buildpacks: z
    .array(z.object({ url: z.string().min(1), name: z.string().optional() }))
    .max(100)
    .optional(),
  env: environment,
  commit: z.string().max(200).optional(),
});
const slug = z.object({
  path,
  checksum: z.string().optional(),
  processTypes: z.record(z.string().regex(/^[-\w]{1,128}$/), z.string().min(1)),
  commit: z.string().optional(),
  buildpackDescription: z.string().optional(),
  stack: name.optional(),
});

const readFile = z.object({
  source,
  checksum: z.string().optional(),
  name,
  maxBytes: positive.optional(),
});

/** @throws BuilderError `bad-request` */
export function checkOptions(value: BuilderOptions): void {
  check(options, value, "The builder's options");
}

/** @throws BuilderError `bad-request` */
export function checkRequest(value: BuildRequest): void {
  check(request, value, "The build request");
}

/** @throws BuilderError `bad-request` */
export function checkSlugInput(value: ImportSlugInput): void {
  check(slug, value, "The slug to import");
}

/** @throws BuilderError `bad-request` */
export function checkReadFile(value: ReadFileInput): void {
  check(readFile, value, "The file to read");
}

/** @throws BuilderError `bad-request` */
export function checkAppId(value: string): void {
  check(name, value, "The app's id");
}

function check(schema: z.ZodType, value: unknown, what: string): void {
  const result = schema.safeParse(value);
  if (result.success) return;
  // Issues name paths and rules, never values: those may be secrets.
  const issues = result.error.issues.map(({ path: at, message }) => {
    const place = at.join(".");
    return place === "" ? message : `${place}: ${message}`;
  });
  throw new BuilderError("bad-request", `${what} can't be used: ${issues.join("; ")}.`, {
    details: { issues },
  });
}
