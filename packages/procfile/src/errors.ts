const marker = Symbol.for("@dynokit/procfile/error");

/** The stable codes of {@link ProcfileError} and when each is thrown. */
export const procfileErrorCodes = {
  "invalid-procfile": "`parseOrThrow` met a text with at least one error",
  "invalid-name": "a process type's name that the dialect can't hold was given to an edit",
  "invalid-command": "a command that no Procfile line can hold was given to an edit",
  "unknown-name": "an edit names a process type or variable that isn't in the text",
  "name-taken": "a rename would make two entries of one name",
  "invalid-env-key": "a variable's name that isn't `[A-Za-z_][A-Za-z0-9_]*`",
  "invalid-env-value": "a value that no environment can hold (NUL)",
  "invalid-option": "an option with a value outside its documented set",
  "unknown-target": "`exportFormation` was asked for a format it doesn't know",
} as const;

/** One of the keys of {@link procfileErrorCodes}. */
export type ProcfileErrorCode = keyof typeof procfileErrorCodes;

/**
 * The only error this package throws on purpose. Texts never cause one, except through
 * `parseOrThrow`; wrong arguments do.
 */
export class ProcfileError extends Error {
  /** Stable, kebab-case. */
  readonly code: ProcfileErrorCode;
  /** What the message was made from. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ProcfileErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = "ProcfileError";
    this.code = code;
    this.details = details;
    Object.defineProperty(this, marker, { value: true });
  }

  /** True for an error of any installed copy of this package. */
  static is(value: unknown): value is ProcfileError {
    return typeof value === "object" && value !== null && marker in value;
  }
}

/** A value for a message: quoted, control characters escaped, at most 60 characters of it. */
export function quoted(value: string): string {
  // Nearly every name is plain, and a file may have a diagnostic for each of its lines.
  if (value.length <= 60 && /^[\w .:/@+=-]*$/.test(value)) return `"${value}"`;
  const short = value.length > 60 ? `${value.slice(0, 57)}...` : value;
  return JSON.stringify(short).replaceAll(
    /[\u007f-\u00a0\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
