/** Codes of {@link LogplexError} with the HTTP status that the inputs and the API answer. */
export const LOGPLEX_ERRORS = {
  "bad-request": 400,
  "bad-query": 400,
  "bad-drain-url": 400,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "payload-too-large": 413,
  "unsupported-media-type": 415,
  "limit-reached": 422,
  "too-many-tails": 429,
  "over-budget": 429,
  "storage-failed": 500,
  unavailable: 503,
  closed: 503,
} as const;

/** One of the stable codes. */
export type LogplexErrorCode = keyof typeof LOGPLEX_ERRORS;

const marker = Symbol.for("dynokit.logplex.error");

/** The only error class of this package; match on `code`. */
export class LogplexError extends Error {
  readonly code: LogplexErrorCode;
  /** HTTP status that belongs to the code. */
  readonly status: number;
  /** Facts beside the message, never secrets. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: LogplexErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LogplexError";
    this.code = code;
    this.status = LOGPLEX_ERRORS[code];
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  /** True also for an error of another installed copy of this package. */
  static is(value: unknown): value is LogplexError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
