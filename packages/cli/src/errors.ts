/** Stable codes of the command line's own failures. */
export type CliErrorCode =
  | "api"
  | "no-app"
  | "no-platform"
  | "usage"
  | "unreachable"
  | "failed"
  | "cancelled";

const marker = Symbol.for("dynokit.CliError");

/** A failure with the exit status and the text that the user sees; never shown with a stack. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly exitStatus: number;
  readonly [marker] = true;

  constructor(
    code: CliErrorCode,
    message: string,
    options: { exitStatus?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.exitStatus = options.exitStatus ?? (code === "usage" ? 2 : 1);
  }

  static is(value: unknown): value is CliError {
    return typeof value === "object" && value !== null && marker in value;
  }
}
