/** How large a head may be, and how leniently it is read. */

/** Exact limits of one kind of head; packet borders never matter (spec/router.md §4, §8). */
export interface HeadLimits {
  /** Octets of the start line, its line end not counted. */
  readonly startLineBytes: number;
  /** Octets of one field line, its line end not counted. */
  readonly fieldLineBytes: number;
  readonly fieldNameBytes: number;
  /** Octets of one `Set-Cookie` line; responses only. */
  readonly cookieLineBytes: number;
  readonly fields: number;
  /** Octets of the whole head. */
  readonly headBytes: number;
}

/** Heroku's figures for requests, plus 128 KiB for the whole head. */
export const REQUEST_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 8192,
  fieldLineBytes: 8192,
  fieldNameBytes: 1000,
  cookieLineBytes: 8192,
  fields: 1000,
  headBytes: 131_072,
});

/** Heroku's figures for responses, plus 1 MiB and 2000 fields for the whole head. */
export const RESPONSE_LIMITS: HeadLimits = Object.freeze({
  startLineBytes: 8192,
  fieldLineBytes: 524_288,
  fieldNameBytes: 1000,
  cookieLineBytes: 8192,
  fields: 2000,
  headBytes: 1_048_576,
});

/** Which leniencies hold. The default of each is the strict reading. */
export interface HeadLeniency {
  /** A lone LF ends a line (responses only). */
  readonly bareLf?: boolean;
  /** A folded line is joined with spaces in place of being refused. */
  readonly obsFold?: boolean;
  /** Octets from 0x80 up may stand in the target. */
  readonly highTarget?: boolean;
  /** Several spaces between the parts of the request line are read as one. */
  readonly requestLineSpaces?: boolean;
  /** Soft rules that do not hold otherwise are put off: the head is read, see `soft` of the head. */
  readonly defer?: boolean;
}

/** Kind of the head that is read. `trailers` are fields alone. */
export type HeadKind = "request" | "response" | "trailers";
