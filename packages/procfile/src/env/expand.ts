import type { EnvDiagnosticCode } from "./diagnostics.ts";

/** What stands in an expansion's way, at an offset of the raw text. */
export type ExpandProblem = (
  code: EnvDiagnosticCode,
  start: number,
  end: number,
  message: string,
) => void;

const nameAt = /[A-Za-z_][A-Za-z0-9_]*/y;
const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "\\": "\\",
  $: "$",
};

/**
 * Reads the inside of a value: escapes where `escaped`, variables where `lookup` is given.
 * Never runs a command: `$(` is text (spec/procfile.md §4.3).
 */
export function readValue(
  text: string,
  start: number,
  end: number,
  escaped: boolean,
  lookup: ((name: string) => string | undefined) | null,
  problem: ExpandProblem,
): string {
  // Collected and joined: a string grown bit by bit is a tree, slow to walk when it is deep.
  const parts: string[] = [];
  let plain = start;
  let index = start;
  const flush = (to: number) => {
    if (to > plain) parts.push(text.slice(plain, to));
  };
  while (index < end) {
    const character = text[index];
    if (escaped && character === "\\" && index + 1 < end) {
      const meant = escapes[text[index + 1]!];
      if (meant === undefined) {
        const shown = JSON.stringify(`\\${text[index + 1]}`);
        problem(
          "unknown-escape",
          index,
          index + 1,
          `${shown} is no escape in double quotes, so the backslash is kept. Double it to say so, or use single quotes.`,
        );
        index++;
      } else {
        flush(index);
        parts.push(meant);
        index += 2;
        plain = index;
      }
    } else if (lookup && character === "$") {
      const read = readVariable(text, index, end, lookup, problem);
      if (read) {
        flush(index);
        parts.push(read.value);
        index = read.next;
        plain = index;
      } else index++;
    } else index++;
  }
  flush(end);
  return parts.join("");
}

function readVariable(
  text: string,
  start: number,
  end: number,
  lookup: (name: string) => string | undefined,
  problem: ExpandProblem,
): { value: string; next: number } | null {
  const braced = text[start + 1] === "{";
  nameAt.lastIndex = start + (braced ? 2 : 1);
  const match = nameAt.exec(text);
  const name = match && nameAt.lastIndex <= end ? match[0] : null;
  if (!braced) {
    if (!name) return null;
    return {
      value: plainValue(name, start, start + 1 + name.length),
      next: start + 1 + name.length,
    };
  }
  const close = name ? closingBrace(text, start + 2 + name.length, end) : -1;
  if (!name || close === -1) return bad();
  const rest = text.slice(start + 2 + name.length, close);
  const next = close + 1;
  if (rest === "") return { value: plainValue(name, start, next), next };
  const current = lookup(name);
  if (rest.startsWith(":-")) return { value: current || rest.slice(2), next };
  if (!rest.startsWith(":?")) return bad();
  if (!current)
    problem(
      "required-variable",
      start,
      next,
      `${name} must be set: ${rest.slice(2) || "it is unset or empty"}.`,
    );
  return { value: current ?? "", next };

  function plainValue(variable: string, from: number, to: number): string {
    const found = lookup(variable);
    if (found === undefined)
      problem(
        "unset-variable",
        from,
        to,
        `${variable} is not set, so it reads as empty. Set it above, or write \${${variable}:-default}.`,
      );
    return found ?? "";
  }

  function bad(): null {
    problem(
      "bad-expansion",
      start,
      start + 2,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the forms themselves are shown.
      "Only $X, ${X}, ${X:-default} and ${X:?message} are expanded; this is kept as it stands.",
    );
    return null;
  }
}

/** A default ends at the first brace and within its line, so that one slip doesn't eat the file. */
function closingBrace(text: string, from: number, end: number): number {
  for (let index = from; index < end; index++) {
    const character = text[index];
    if (character === "}") return index;
    if (character === "\n" || character === "{") return -1;
  }
  return -1;
}
