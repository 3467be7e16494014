import type { Terminal } from "./terminal.ts";

// The escape sequences of colours have no width.
const escapes = /\u001b\[[0-9;]*m/g;

const width = (text: string) => [...text.replace(escapes, "")].length;

/**
 * Columns padded to their widest cell. On a terminal the last column gives way until the table
 * fits; in a pipe nothing is ever cut.
 */
export function table(
  terminal: Terminal,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))));
  const before = widths.slice(0, -1).reduce((sum, size) => sum + size + 2, 0);
  const room = terminal.interactive
    ? Math.max(10, terminal.columns - before)
    : Number.POSITIVE_INFINITY;
  const line = (row: readonly string[], paint: (text: string) => string) =>
    row
      .map((cell, column) => {
        if (column === row.length - 1) return paint(cut(cell, room));
        return paint(cell) + " ".repeat((widths[column] as number) - width(cell) + 2);
      })
      .join("")
      .trimEnd();
  return [line(header, terminal.colour.bold), ...rows.map((row) => line(row, (text) => text))].join(
    "\n",
  );
}

function cut(text: string, room: number): string {
  if (width(text) <= room) return text;
  return `${[...text.replace(escapes, "")].slice(0, Math.max(0, room - 1)).join("")}…`;
}
