import { ProcfileError, quoted } from "../errors.ts";
import { nearest } from "../suggest.ts";
import type { LineEnd } from "../tree.ts";
import type { Change } from "./draft.ts";

/** What edits need to know of a line, in a Procfile and in a `.env` file alike. */
export interface EditableLine {
  readonly kind: string;
  readonly offset: number;
  readonly text: string;
  readonly eol: LineEnd;
  readonly entry?: { readonly name: string };
}

/** The line ending of the file: that of its last line that has one, else LF. */
export function ownLineEnd(lines: readonly EditableLine[]): string {
  return lines.findLast(({ eol }) => eol === "\n" || eol === "\r\n")?.eol ?? "\n";
}

/** Adds a line after the last entry, or at the end of a file that has none. */
export function appendLine(lines: readonly EditableLine[], line: string, start: number): Change {
  const eol = ownLineEnd(lines);
  const last = lines.findLast(({ kind }) => kind === "entry") ?? lines.at(-1);
  if (!last) return { start, end: start, newText: line + eol };
  const end = endOf(last);
  // A file whose last line has no line end keeps it that way.
  const newText = last.eol === "" ? eol + line : line + eol;
  return { start: end, end, newText };
}

/** Deletes every definition of a name: without the last, an earlier one would come to life. */
export function deleteLines(
  lines: readonly EditableLine[],
  name: string,
  comments: boolean,
): Change[] {
  return indexesOf(lines, name).map((index) => {
    const first = lines[comments ? firstOfBlock(lines, index) : index]!;
    return { start: first.offset, end: endOf(lines[index]!), newText: "" };
  });
}

/** The indexes of all lines that define a name. Throws `unknown-name` when there are none. */
export function indexesOf(lines: readonly EditableLine[], name: string): number[] {
  const found = lines.flatMap(({ entry }, index) => (entry?.name === name ? [index] : []));
  if (found.length > 0) return found;
  const names = new Set(lines.flatMap(({ entry }) => (entry ? [entry.name] : [])));
  const near = nearest(name, names);
  throw new ProcfileError(
    "unknown-name",
    `Nothing is named ${quoted(name)}.${near ? ` Did you mean ${quoted(near)}?` : ""}`,
    { name, names: [...names] },
  );
}

/** The first of the comment lines directly above a line, or the line itself. */
export function firstOfBlock(lines: readonly EditableLine[], index: number): number {
  let first = index;
  while (first > 0 && lines[first - 1]!.kind === "comment") first--;
  return first;
}

export function endOf({ offset, text, eol }: EditableLine): number {
  return offset + text.length + eol.length;
}
