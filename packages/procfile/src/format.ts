import type { Dialect } from "./diagnostic.ts";
import { type Change, Draft } from "./edit/draft.ts";
import { parse } from "./parse.ts";
import type { TextEdit } from "./position.ts";

/** Options of {@link format}. */
export interface FormatOptions {
  /** Default `heroku`. */
  readonly dialect?: Exclude<Dialect, "classic">;
  /** Commands in one column instead of one space after the colon. Default false. */
  readonly align?: boolean;
}

/**
 * Normalises the layout: one space after the colon (or aligned commands), no leading blanks, LF,
 * a final newline. Never touches a command or a line it can't read; keeps comments and blank
 * lines. `format(format(text)) === format(text)`.
 */
export function format(text: string, options: FormatOptions = {}): string {
  return draftOf(text, options).text;
}

/** The edits that {@link format} makes, for an editor. */
export function formatEdits(text: string, options: FormatOptions = {}): TextEdit[] {
  return draftOf(text, options).edits(options.dialect === "lenient");
}

function draftOf(text: string, { dialect = "heroku", align = false }: FormatOptions): Draft {
  const draft = Draft.of(text);
  const { tree, entries, diagnostics } = parse(text, { dialect });
  if (diagnostics.some(({ code }) => code === "too-large")) return draft;
  const width = align ? Math.max(0, ...entries.map(({ rawName }) => rawName.length)) : 0;
  const changes: Change[] = [];
  const replace = (start: number, end: number, newText: string) => {
    if (text.slice(start, end) !== newText) changes.push({ start, end, newText });
  };
  // A second mark would be taken for the first one the next time.
  if (tree.bom && text[1] !== "\uFEFF") replace(0, 1, "");
  const last = tree.lines.findLastIndex(({ kind }) => kind !== "blank");
  for (const [index, { kind, offset, text: line, eol, entry }] of tree.lines.entries()) {
    const end = offset + line.length;
    if (index > last) {
      replace(offset, end + eol.length, "");
      continue;
    }
    if (kind === "blank") replace(offset, end, "");
    else if (kind === "comment") replace(offset, end - line.replace(/^[ \t]+/, "").length, "");
    else if (entry) {
      const { nameRange, commandRange, rawName } = entry;
      const gap = " ".repeat(Math.max(0, width - rawName.length) + 1);
      replace(offset, nameRange.start.offset, "");
      replace(nameRange.end.offset, commandRange.start.offset, `:${gap}`);
    }
    replace(end, end + eol.length, "\n");
  }
  return draft.change(changes);
}
