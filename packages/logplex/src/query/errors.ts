import { LogplexError } from "../errors.ts";

/**
 * `bad-query` with the place of the fault. `details` are `{ column, hint, problem }`; columns are
 * 1-based (spec/logplex.md §8.4).
 */
export function queryError(problem: string, column: number, hint: string): LogplexError {
  return new LogplexError("bad-query", `Query, column ${column}: ${problem}; ${hint}.`, {
    details: { column, hint, problem },
  });
}
