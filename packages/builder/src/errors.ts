const MARKER: unique symbol = Symbol.for("@dynokit/builder.BuilderError") as never;

/**
 * The stable codes of {@link BuilderError}, with the HTTP status that an API should answer.
 *
 * `build-failed` covers everything the user's own code or buildpack did wrong; the other codes
 * say which rule of the platform was broken.
 */
export const builderErrors = {
  "bad-procfile": { status: 422 },
  "bad-source-file": { status: 422 },
  "unsafe-archive": { status: 422 },
  "bad-archive": { status: 422 },
  "too-large": { status: 422 },
  "build-failed": { status: 422 },
  "checksum-mismatch": { status: 422 },
  "unsafe-url": { status: 422 },
  "download-failed": { status: 422 },
  "bad-request": { status: 422 },
  cancelled: { status: 409 },
  timeout: { status: 422 },
  "disk-full": { status: 503 },
  "queue-full": { status: 503 },
  closed: { status: 503 },
} as const;

/** One of the keys of {@link builderErrors}. */
export type BuilderErrorCode = keyof typeof builderErrors;

/**
 * The only error this package throws. `message` says what was wrong, with which value, and what
 * to do; config values never appear in it.
 */
export class BuilderError extends Error {
  /** Stable reason; branch on this, not on the message. */
  readonly code: BuilderErrorCode;
  /** Facts for programs: limits, paths inside the archive, diagnostics. */
  readonly details: Readonly<Record<string, unknown>>;
  /** HTTP status that fits the code. */
  readonly status: number;
  readonly [MARKER] = true;

  constructor(
    code: BuilderErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "BuilderError";
    this.code = code;
    this.details = options.details ?? {};
    this.status = builderErrors[code].status;
  }

  /** True for an error of any installed copy of this package. */
  static is(value: unknown): value is BuilderError {
    return (
      typeof value === "object" && value !== null && (value as { [MARKER]?: true })[MARKER] === true
    );
  }
}
