import { isNameUnit } from "./name.ts";
import { rangeInLine } from "./position.ts";
import type { Segment } from "./scan.ts";
import type { LineNode } from "./tree.ts";

const isSpace = (character: string | undefined) =>
  // A byte order mark is white space to JavaScript only.
  character !== undefined && character !== "\uFEFF" && /\s/.test(character);

/**
 * Reads a line as Heroku's old slug compiler did: optional white space, a name, an optional
 * colon, at least one white-space character, the rest (spec/procfile.md §1.1). Anything else is
 * dropped without a word.
 */
export function readClassicLine(text: string, segment: Segment): LineNode {
  const { start, end, eol, line, lineStart } = segment;
  const node = {
    offset: start,
    line,
    column: start - lineStart + 1,
    text: text.slice(start, end),
    eol,
  } as const;
  let first = start;
  while (first < end && isSpace(text[first])) first++;
  if (first === end) return { ...node, kind: "blank" };
  let nameEnd = first;
  while (nameEnd < end && isNameUnit(text.charCodeAt(nameEnd))) nameEnd++;
  const separator = nameEnd < end && text[nameEnd] === ":" ? nameEnd + 1 : nameEnd;
  const kind = text[first] === "#" ? "comment" : "invalid";
  // The engine gave a blank line's last newline to nobody: `web:` alone never matched.
  if (nameEnd === first || !isSpace(text[separator]) || separator >= end) return { ...node, kind };
  let command = separator;
  while (command < end && isSpace(text[command])) command++;
  const name = text.slice(first, nameEnd);
  return {
    ...node,
    kind: "entry",
    entry: {
      name,
      rawName: name,
      command: text.slice(command, end),
      line,
      nameRange: rangeInLine(line, lineStart, first, nameEnd),
      commandRange: rangeInLine(line, lineStart, command, end),
    },
  };
}
