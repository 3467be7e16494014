import { rangeInLine } from "../position.ts";
import type { LintContext } from "./lint.ts";

// No-break and other wide spaces, soft hyphen, zero-width characters, bidirectional controls, and
// a byte order mark anywhere but at the start.
const invisible =
  /[\u00a0\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\u3164\ufeff\uffa0]/g;
const visibleAs = (character: string) =>
  /[\u00a0\u2000-\u200a\u202f\u205f\u3000]/.test(character) ? " " : "";

function lineEnds({ lines, report }: LintContext): void {
  const first = (wanted: string) => lines.find(({ eol }) => eol === wanted);
  const crlf = first("\r\n");
  const lf = first("\n");
  if (!crlf) return;
  const { offset, text, line, column } = crlf;
  const end = offset + text.length;
  const range = rangeInLine(line, offset - column + 1, end, end + 2);
  if (lf)
    report(
      "mixed-eol",
      range,
      `Line ${crlf.line} ends with CRLF, line ${lf.line} with LF. Format the file to have LF everywhere.`,
    );
  else report("crlf", range, "Lines end with CRLF. Format the file to have LF.");
}

function finalNewline({ lines, report }: LintContext): void {
  const last = lines.at(-1);
  if (last?.eol !== "") return;
  const end = last.offset + last.text.length;
  const range = rangeInLine(last.line, last.offset - last.column + 1, end, end);
  report("no-final-newline", range, "The last line has no line end. Add one.", {
    range,
    newText: "\n",
  });
}

function invisibleCharacters({ lines, report }: LintContext): void {
  for (const { text, offset, line, column, kind } of lines) {
    if (kind === "comment" || kind === "blank") continue;
    for (const match of text.matchAll(invisible)) {
      const [character] = match;
      const start = offset + match.index;
      const range = rangeInLine(line, offset - column + 1, start, start + 1);
      const shown = `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
      const newText = visibleAs(character);
      const repair = newText ? "Write a space" : "Delete it";
      report("invisible-char", range, `The invisible character ${shown}. ${repair}.`, {
        range,
        newText,
      });
    }
  }
}

function trailingSpace({ entries, report }: LintContext): void {
  for (const { entry, at } of entries) {
    const { command } = entry;
    let end = command.length;
    while (end > 0 && (command[end - 1] === " " || command[end - 1] === "\t")) end--;
    if (end === command.length) continue;
    const range = at(end, command.length);
    if (command[end - 1] === "\\")
      report(
        "trailing-space",
        range,
        "A blank after a backslash at the end: the shell takes it as part of an argument. Quote it if it is meant, delete both if not.",
      );
    else
      report("trailing-space", range, "Blanks at the end of the command. Delete them.", {
        range,
        newText: "",
      });
  }
}

export const layoutRules = [lineEnds, finalNewline, invisibleCharacters, trailingSpace];
