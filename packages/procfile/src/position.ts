/** A place in a text. Lines and columns are 1-based; columns and offsets count UTF-16 units. */
export interface Position {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** A half-open stretch of a text: `end` is the first position after it. */
export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** One replacement in a text. An empty range inserts, an empty `newText` deletes. */
export interface TextEdit {
  readonly range: Range;
  readonly newText: string;
}

/** A range inside one line, from the line's number, the offset of its column 1, and two offsets. */
export function rangeInLine(
  line: number,
  lineStart: number,
  startOffset: number,
  endOffset: number,
): Range {
  return {
    start: { offset: startOffset, line, column: startOffset - lineStart + 1 },
    end: { offset: endOffset, line, column: endOffset - lineStart + 1 },
  };
}

/**
 * Applies edits whose ranges refer to `text`. They may come in any order; where two overlap,
 * the one that begins first (at equal begins the longer) is applied and the other left out.
 */
export function applyEdits(text: string, edits: Iterable<TextEdit>): string {
  const sorted = [...edits].sort(
    (a, b) =>
      a.range.start.offset - b.range.start.offset || b.range.end.offset - a.range.end.offset,
  );
  let result = "";
  let done = 0;
  for (const { range, newText } of sorted) {
    const { offset } = range.start;
    if (offset < done) continue;
    result += text.slice(done, offset) + newText;
    done = range.end.offset;
  }
  return result + text.slice(done);
}
