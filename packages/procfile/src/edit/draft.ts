import { Locator } from "../locate.ts";
import type { TextEdit } from "../position.ts";

/** A replacement by offsets of the text as it is when the change is made. */
export interface Change {
  readonly start: number;
  readonly end: number;
  readonly newText: string;
}

/** A stretch of the original, or text that was added. */
type Piece = { readonly start: number; readonly end: number } | { readonly added: string };

/**
 * A text and all that was done to it since the beginning, as a piece table: so the edits of many
 * steps refer to the original and touch nothing between them.
 */
export class Draft {
  readonly text: string;
  readonly #original: string;
  readonly #pieces: readonly Piece[];

  private constructor(original: string, text: string, pieces: readonly Piece[]) {
    this.#original = original;
    this.text = text;
    this.#pieces = pieces;
  }

  static of(text: string): Draft {
    return new Draft(text, text, [{ start: 0, end: text.length }]);
  }

  /** Applies changes that don't overlap. */
  change(changes: readonly Change[]): Draft {
    const sorted = [...changes].sort((a, b) => a.start - b.start || a.end - b.end);
    let text = "";
    let done = 0;
    const pieces: Piece[] = [];
    for (const { start, end, newText } of sorted) {
      text += this.text.slice(done, start) + newText;
      pieces.push(...this.#between(done, start));
      if (newText !== "") pieces.push({ added: newText });
      done = end;
    }
    text += this.text.slice(done);
    pieces.push(...this.#between(done, this.text.length));
    return new Draft(this.#original, text, pieces);
  }

  /** The whole difference to the original, in its positions, sorted and without overlap. */
  edits(loneCrEndsLine: boolean): TextEdit[] {
    const locator = new Locator(this.#original, loneCrEndsLine);
    const edits: TextEdit[] = [];
    let done = 0;
    let newText = "";
    const flush = (upTo: number) => {
      if (upTo > done || newText !== "") edits.push({ range: locator.range(done, upTo), newText });
      newText = "";
    };
    for (const piece of this.#pieces) {
      if ("added" in piece) newText += piece.added;
      else if (piece.end > piece.start) {
        flush(piece.start);
        done = piece.end;
      }
    }
    flush(this.#original.length);
    return edits;
  }

  #between(start: number, end: number): Piece[] {
    const found: Piece[] = [];
    let offset = 0;
    for (const piece of this.#pieces) {
      const length = "added" in piece ? piece.added.length : piece.end - piece.start;
      const from = Math.max(0, start - offset);
      const to = Math.min(length, end - offset);
      if (to > from)
        found.push(
          "added" in piece
            ? { added: piece.added.slice(from, to) }
            : { start: piece.start + from, end: piece.start + to },
        );
      offset += length;
    }
    return found;
  }
}
