import { ProcfileError, quoted } from "./errors.ts";
import { isValidName } from "./name.ts";

/** Anything that names a process type and its command. */
export interface EntryLike {
  readonly name: string;
  readonly command: string;
}

/**
 * Writes entries as a Procfile, one `name: command` a line, in their order.
 * `parse(stringify(entries))` gives the same names and commands.
 *
 * @throws ProcfileError `invalid-name` for a name no dialect reads, `invalid-command` for a
 * command that a line can't hold (empty, beginning with a blank, with a line end or NUL),
 * `name-taken` for two entries of one name.
 */
export function stringify(
  entries: Iterable<EntryLike> | ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): string {
  const seen = new Set<string>();
  let text = "";
  for (const { name, command } of entriesOf(entries)) {
    checkName(name);
    checkCommand(command);
    if (seen.has(name))
      throw new ProcfileError("name-taken", `Two entries are named ${quoted(name)}.`, { name });
    seen.add(name);
    text += `${name}: ${command}\n`;
  }
  return text;
}

function* entriesOf(
  entries: Iterable<EntryLike> | ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): Generator<EntryLike> {
  if (entries instanceof Map) {
    for (const [name, command] of entries) yield { name, command };
  } else if (Symbol.iterator in entries) {
    yield* entries as Iterable<EntryLike>;
  } else {
    for (const [name, command] of Object.entries(entries)) yield { name, command };
  }
}

/** Refuses a name that the `lenient` dialect, the wider of the two, can't read back. */
export function checkName(name: string, dialect: "heroku" | "lenient" = "lenient"): void {
  if (isValidName(name, dialect)) return;
  throw new ProcfileError(
    "invalid-name",
    `${quoted(name)} can't be a process type: use ${
      dialect === "heroku"
        ? "1 to 63 lower-case letters, digits and inner dashes"
        : "1 to 128 ASCII letters, digits, _ and -"
    }.`,
    { name },
  );
}

/** Refuses a command that would not come back as it is. */
export function checkCommand(command: string): void {
  const reason =
    command === "" || /^[ \t]/.test(command)
      ? "it must begin with something other than a blank"
      : /[\r\n]/.test(command)
        ? "it must be one line"
        : command.includes("\0")
          ? "it must not hold NUL"
          : null;
  if (reason)
    throw new ProcfileError("invalid-command", `Command ${quoted(command)}: ${reason}.`, {
      command,
    });
}
