const marker = Symbol.for("dynokit.manifold.error");

/** Every code of `ManifoldError` with the HTTP status that suits it. */
export const manifoldErrorCodes = {
  "invalid-formation": 422,
  "invalid-one-off": 422,
  "invalid-options": 422,
  "invalid-policy": 422,
  "invalid-schedule": 422,
  "unknown-app": 404,
  "unknown-dyno": 404,
  "unknown-driver": 422,
  "not-supported": 422,
  "not-running": 409,
  "not-leader": 503,
  "recovery-failed": 503,
  closed: 503,
} as const;

/** Stable; compare with it rather than with messages. */
export type ManifoldErrorCode = keyof typeof manifoldErrorCodes;

/** What the manifold throws: the message says what was wrong, with which value, and what to do. */
export class ManifoldError extends Error {
  override readonly name = "ManifoldError";
  readonly code: ManifoldErrorCode;
  /** HTTP status that an API may answer with. */
  readonly status: number;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ManifoldErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = manifoldErrorCodes[code];
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  /** Also true for an error of another installed copy of this package. */
  static is(value: unknown): value is ManifoldError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
