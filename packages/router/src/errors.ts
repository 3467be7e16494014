/** Stable codes of {@link RouterError}. */
export const ROUTER_ERROR_CODES = Object.freeze([
  "invalid-option",
  "invalid-host",
  "host-taken",
  "unknown-app",
  "unknown-backend",
  "already-listening",
  "listen-failed",
  "closed",
  "bad-certificate",
  "missing-peer",
  "worker-failed",
] as const);

/** One of {@link ROUTER_ERROR_CODES}. */
export type RouterErrorCode = (typeof ROUTER_ERROR_CODES)[number];

const marker = Symbol.for("dynokit.router.error");

/** The only error this package throws on purpose; match on `code`, not on the message. */
export class RouterError extends Error {
  override readonly name = "RouterError";
  readonly code: RouterErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly [marker] = true;

  constructor(
    code: RouterErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Whether the value is a `RouterError`, also of another installed copy of the package. */
  static is(value: unknown): value is RouterError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
