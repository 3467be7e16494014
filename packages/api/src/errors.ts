const marker = Symbol.for("dynokit.api.error");

/** Every code of `ApiError` with its HTTP status (spec/platform-api.md §2 "status"). */
export const apiErrors = {
  "bad-request": { status: 400, id: "bad_request" },
  unauthorized: { status: 401, id: "unauthorized" },
  delinquent: { status: 402, id: "delinquent" },
  forbidden: { status: 403, id: "forbidden" },
  suspended: { status: 403, id: "suspended" },
  "not-found": { status: 404, id: "not_found" },
  "method-not-allowed": { status: 405, id: "method_not_allowed" },
  "not-acceptable": { status: 406, id: "not_acceptable" },
  conflict: { status: 409, id: "conflict" },
  gone: { status: 410, id: "gone" },
  "precondition-failed": { status: 412, id: "precondition_failed" },
  "too-large": { status: 413, id: "request_entity_too_large" },
  "unsupported-media-type": { status: 415, id: "unsupported_media_type" },
  "bad-range": { status: 416, id: "requested_range_not_satisfiable" },
  "invalid-params": { status: 422, id: "invalid_params" },
  "rate-limit": { status: 429, id: "rate_limit" },
  internal: { status: 500, id: "internal_server_error" },
  "not-implemented": { status: 501, id: "not_implemented" },
  unavailable: { status: 503, id: "service_unavailable" },
} as const;

/** One of the keys of {@link apiErrors}. */
export type ApiErrorCode = keyof typeof apiErrors;

/** One field that a request got wrong; `pointer` is a JSON pointer into the body. */
export interface FieldProblem {
  readonly pointer: string;
  readonly message: string;
}

/** Options of {@link ApiError}. */
export interface ApiErrorOptions {
  /** Name of the kind of thing that was not found, for a 404 body. */
  readonly resource?: string;
  /** Page with more about the problem. */
  readonly url?: string;
  readonly app?: { readonly name: string };
  readonly errors?: readonly FieldProblem[];
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * The only error this package throws and the source of every error body. Values of config vars,
 * tokens and passwords never appear in it.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  /** HTTP status of the answer. */
  readonly status: number;
  readonly options: ApiErrorOptions;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ApiErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = apiErrors[code].status;
    this.options = options;
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  /** Also true for an error of another installed copy of this package. */
  static is(value: unknown): value is ApiError {
    return typeof value === "object" && value !== null && marker in value;
  }

  /** The body a client gets: Heroku's `{id, message}` and, where known, more. */
  toBody(): Record<string, unknown> {
    const { resource, url, app, errors } = this.options;
    return {
      id: apiErrors[this.code].id,
      message: this.message,
      ...(resource === undefined ? {} : { resource }),
      ...(url === undefined ? {} : { url }),
      ...(app === undefined ? {} : { app }),
      ...(errors === undefined || errors.length === 0 ? {} : { errors }),
    };
  }
}

/** 404 with the body that Heroku's CLI knows. */
export function notFound(resource: string): ApiError {
  return new ApiError("not-found", `Couldn't find that ${resource.replaceAll("_", " ")}.`, {
    resource: resource.replaceAll(" ", "_"),
  });
}

/** 422 about one field of the body. */
export function invalid(field: string, message: string): ApiError {
  return new ApiError("invalid-params", message, {
    errors: [{ pointer: `/${field.replaceAll(".", "/")}`, message }],
  });
}
