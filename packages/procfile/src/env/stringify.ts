import { ProcfileError } from "../errors.ts";
import { checkEnvKey } from "./parse.ts";

/**
 * Writes variables as a `.env` file that {@link parseEnv} reads back exactly, whatever the values
 * hold. Quotes only where they are needed.
 *
 * @throws ProcfileError `invalid-env-key`, or `invalid-env-value` for a value with NUL.
 */
export function stringifyEnv(
  env: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): string {
  const pairs = env instanceof Map ? env : Object.entries(env as Record<string, string>);
  let text = "";
  for (const [name, value] of pairs) {
    checkEnvKey(name);
    text += `${name}=${quoteEnvValue(value, name)}\n`;
  }
  return text;
}

/** One value as it stands after the `=`. */
export function quoteEnvValue(value: string, name: string): string {
  if (value.includes("\0"))
    throw new ProcfileError("invalid-env-value", `The value of ${name} holds NUL: remove it.`, {
      name,
    });
  if (/^[A-Za-z0-9_@%+:,./~^-]*$/.test(value)) return value;
  // Single quotes are read alike by every tool, but not over several lines.
  if (!/['\r\n]/.test(value)) return `'${value}'`;
  const escaped = value.replaceAll(/["\\$\n\r\t]/g, (character) =>
    character === "\n"
      ? "\\n"
      : character === "\r"
        ? "\\r"
        : character === "\t"
          ? "\\t"
          : `\\${character}`,
  );
  return `"${escaped}"`;
}
