/** Stable codes of the command line's own failures. */
export type CliErrorCode =
  | "api"
  | "no-app"
  | "no-platform"
  | "usage"
  | "unreachable"
  | "failed"
  | "cancelled"
  /** A command that ran elsewhere ended with a status of its own; there is nothing to add. */
  | "exit";

const marker = Symbol.for("dynokit.CliError");

/** A failure with the exit status and the text that the user sees; never shown with a stack. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly exitStatus: number;
  /** HTTP status of the refusal, with `api`. */
  readonly status: number | undefined;
  readonly [marker] = true;

  constructor(
    code: CliErrorCode,
    message: string,
    options: { exitStatus?: number; status?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.status = options.status;
    this.exitStatus = options.exitStatus ?? (code === "usage" ? 2 : 1);
  }

  static is(value: unknown): value is CliError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
