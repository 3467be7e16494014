import type { Diagnostic, Severity } from "../diagnostic.ts";

const codes: Readonly<Record<Severity | "dim" | "bold", string>> = {
  error: "31",
  warning: "33",
  info: "36",
  dim: "2",
  bold: "1",
};

/** Paints text for a terminal, or leaves it alone. */
export type Paint = (style: keyof typeof codes, text: string) => string;

export function painter(color: boolean): Paint {
  return (style, text) => (color ? `\u001b[${codes[style]}m${text}\u001b[0m` : text);
}

/** Widest part of a line that a frame shows. */
const width = 100;

/** A diagnostic with the line it is about and a mark under the columns. */
export function codeFrame(
  path: string,
  text: string,
  { range, severity, code, message, fix }: Diagnostic,
  paint: Paint,
): string {
  const { line, column, offset } = range.start;
  const lineStart = offset - column + 1;
  const lf = text.indexOf("\n", lineStart);
  const whole = text.slice(lineStart, lf === -1 ? text.length : lf);
  const from = Math.max(0, Math.min(column - 1 - 30, whole.length - width));
  const shown = visible(whole.slice(from, from + width));
  const length = range.end.line === line ? range.end.offset - offset : whole.length - column + 1;
  const room = Math.max(1, from + width - column + 1);
  const mark = "^".repeat(Math.min(Math.max(1, length), room));
  const gutter = String(line);
  const blank = " ".repeat(gutter.length);
  // Tabs were shown as one column each, so one space per column lines up.
  const indent = " ".repeat(column - 1 - from);
  return [
    `${paint("bold", `${path}:${line}:${column}`)} ${paint(severity, severity)} ${message} ${paint("dim", `[${code}${fix ? ", fixable" : ""}]`)}`,
    `${paint("dim", `${gutter} |`)} ${shown}`,
    `${paint("dim", `${blank} |`)} ${indent}${paint(severity, mark)}`,
  ].join("\n");
}

/** One column per UTF-16 unit, and nothing that a terminal would obey. */
function visible(text: string): string {
  return text.replaceAll(
    /[\0-\x1f\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g,
    (character) => (character === "\t" ? " " : "\u00b7"),
  );
}
