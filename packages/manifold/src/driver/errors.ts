const marker = Symbol.for("dynokit.driver.error");

/** Every code of `DriverError` with what it means; `retryable` is the default for it. */
export const driverErrorCodes = {
  "not-found": { retryable: false, meaning: "no dyno with this id" },
  "already-exists": { retryable: false, meaning: "a dyno with this id is alive" },
  "not-supported": { retryable: false, meaning: "the driver does not declare this" },
  "invalid-spec": { retryable: false, meaning: "the request can't be carried out as written" },
  unavailable: { retryable: true, meaning: "the engine can't be reached or has no room now" },
  failed: { retryable: false, meaning: "the engine tried and could not" },
  checksum: { retryable: false, meaning: "the slug is not what its checksum says (R17)" },
  aborted: { retryable: true, meaning: "the caller's signal ended the call" },
} as const;

/** Stable; compare with it rather than with messages. */
export type DriverErrorCode = keyof typeof driverErrorCodes;

export interface DriverErrorOptions {
  /** Whether the same call may succeed later; default as in `driverErrorCodes`. */
  readonly retryable?: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The only thing a driver rejects with (spec/dynos.md §15). The message says what was wrong, with
 * which value, and what to do; it never carries a value of the environment.
 */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code: DriverErrorCode;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: DriverErrorCode, message: string, options: DriverErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? driverErrorCodes[code].retryable;
    this.details = options.details ?? {};
    Object.defineProperty(this, marker, { value: true });
  }

  /** Also true for an error of another installed copy of this package. */
  static is(value: unknown): value is DriverError {
    return typeof value === "object" && value !== null && marker in value;
  }

  /** The value itself when it is a `DriverError`, else a `failed` one with it as the cause. */
  static from(value: unknown, message = "The driver failed"): DriverError {
    if (DriverError.is(value)) return value;
    const reason = value instanceof Error ? value.message : String(value);
    return new DriverError("failed", `${message}: ${reason}`, { cause: value });
  }

  /** The standard error for an id that no dyno has. */
  static notFound(id: string): DriverError {
    return new DriverError("not-found", `There is no dyno with the id "${id}"`, {
      details: { id },
    });
  }
}
