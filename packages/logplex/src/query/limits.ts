/** Limits of one query (spec/logplex.md §8.4). A query beyond them does not compile. */
export const QUERY_LIMITS = Object.freeze({
  /** Length of the text, bytes of UTF-8. */
  maxBytes: 4096,
  /** Conditions in one query, words included. */
  maxTerms: 64,
  /** Regular expressions in one query, those of stages included. */
  maxRegexes: 8,
  /** Nested parentheses and negations. */
  maxDepth: 32,
  /** Stages after the predicate. */
  maxStages: 16,
});
