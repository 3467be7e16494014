import type { Range } from "../position.ts";
import type { LineEnd } from "../tree.ts";

/** One assignment of a `.env` file. */
export interface EnvEntry {
  readonly name: string;
  /** After quotes, escapes and, when asked for, expansion. */
  readonly value: string;
  readonly quote: "none" | "single" | "double";
  /** 1-based line of the name. */
  readonly line: number;
  readonly nameRange: Range;
  /** With its quotes; empty, right after the `=`, for an empty value. */
  readonly valueRange: Range;
}

/** One line, or the several that a quoted value spans. `text + eol` is what the file holds. */
export interface EnvNode {
  readonly kind: "blank" | "comment" | "entry" | "invalid";
  readonly offset: number;
  readonly line: number;
  readonly text: string;
  readonly eol: LineEnd;
  readonly entry?: EnvEntry;
}

/** The whole file, without loss; {@link print} writes it back. */
export interface EnvTree {
  readonly bom: boolean;
  readonly lines: readonly EnvNode[];
}
