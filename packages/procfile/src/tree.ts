import type { Range } from "./position.ts";

/** One process type as a Procfile defines it. */
export interface Entry {
  /** As the dialect reads it: normalised in `heroku`, as written in `lenient`. */
  readonly name: string;
  /** As it is written. */
  readonly rawName: string;
  /** Exactly the text after the colon and its blanks, up to the end of the line. */
  readonly command: string;
  /** 1-based. */
  readonly line: number;
  readonly nameRange: Range;
  readonly commandRange: Range;
}

/** `invalid` lines are kept in the tree and printed back, but give no entry. */
export type LineKind = "blank" | "comment" | "entry" | "invalid";

/** How a line ends: the last line of a file may end with nothing. */
export type LineEnd = "" | "\n" | "\r\n" | "\r";

/** One line of the file. `text + eol` is exactly what the file holds. */
export interface LineNode {
  readonly kind: LineKind;
  readonly offset: number;
  /** 1-based. In `heroku` a lone CR does not count, so two nodes may share a line. */
  readonly line: number;
  /** Column of `offset`: above 1 only after a BOM, or a lone CR in `heroku`. */
  readonly column: number;
  readonly text: string;
  readonly eol: LineEnd;
  /** Set for `entry`, also where a later line overrides it. */
  readonly entry?: Entry;
}

/** The whole file, without loss. */
export interface ProcfileTree {
  readonly bom: boolean;
  readonly lines: readonly LineNode[];
}

/** Writes a tree back, a Procfile's or a `.env` file's. `print(parse(text).tree) === text`, always. */
export function print(tree: {
  readonly bom: boolean;
  readonly lines: readonly { readonly text: string; readonly eol: LineEnd }[];
}): string {
  const parts: string[] = tree.bom ? ["\uFEFF"] : [];
  for (const line of tree.lines) parts.push(line.text, line.eol);
  return parts.join("");
}
