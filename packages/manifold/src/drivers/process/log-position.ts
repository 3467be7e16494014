/** Where a reader of the segments is. */
export interface Position {
  readonly segment: number;
  /** Of the next record in the segment. */
  readonly offset: number;
  /** Lines of the segment before it. */
  readonly lines: number;
  /** Bytes of the next record that were delivered. */
  readonly within: number;
}

/** Before all output. */
export const BEGIN: Position = { segment: 1, offset: 0, lines: 0, within: 0 };

/** The position as it is told to others. */
export const cursorOf = ({ segment, offset, lines, within }: Position): string =>
  `${segment}:${offset}:${lines}:${within}`;

/** The position that a cursor means; undefined for one of something else. */
export function parseCursor(cursor: string): Position | undefined {
  const match = /^(\d+):(\d+):(\d+):(\d+)$/.exec(cursor.trim());
  if (!match) return undefined;
  const [segment, offset, lines, within] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return { segment, offset, lines, within };
}
