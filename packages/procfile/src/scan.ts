import type { LineEnd } from "./tree.ts";

/** A stretch of text up to LF, CRLF, a lone CR or the end. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly eol: LineEnd;
  /** 1-based. */
  readonly line: number;
  /** Offset of column 1 of that line. */
  readonly lineStart: number;
}

/**
 * Cuts a text into segments in one pass. A lone CR always ends a segment; whether it also ends
 * a *line*, for numbering, is the dialect's business.
 */
export function* scanLines(
  text: string,
  from: number,
  loneCrEndsLine: boolean,
): Generator<Segment, void, undefined> {
  let start = from;
  let line = 1;
  let lineStart = 0;
  // Remembered between lines: asking again for each line would be quadratic without any CR.
  let nextCr = text.indexOf("\r", from);
  while (start < text.length) {
    let lf = text.indexOf("\n", start);
    if (lf === -1) lf = text.length;
    while (start <= lf && start < text.length) {
      if (nextCr !== -1 && nextCr < start) nextCr = text.indexOf("\r", start);
      const cr = nextCr === -1 || nextCr > lf ? -1 : nextCr;
      if (cr !== -1 && cr !== lf - 1) {
        yield { start, end: cr, eol: "\r", line, lineStart };
        start = cr + 1;
        if (loneCrEndsLine) {
          line++;
          lineStart = start;
        }
        continue;
      }
      if (lf === text.length) {
        // A CR as the very last character has no LF after it.
        if (cr !== -1) {
          yield { start, end: cr, eol: "\r", line, lineStart };
          start = cr + 1;
        } else {
          yield { start, end: lf, eol: "", line, lineStart };
          start = lf + 1;
        }
        continue;
      }
      yield cr === -1
        ? { start, end: lf, eol: "\n", line, lineStart }
        : { start, end: cr, eol: "\r\n", line, lineStart };
      start = lf + 1;
      line++;
      lineStart = start;
    }
  }
}
