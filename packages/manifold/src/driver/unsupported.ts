import { DriverError } from "./errors.ts";

/** What an `unsupported` member returns: it fails however it is used. */
export type Unsupported = Promise<never> & AsyncIterable<never>;

/**
 * The stub for an optional member of a driver that it cannot have: rejects when awaited, throws
 * when iterated, with `not-supported`. Leaving the member out means the same; the stub is for
 * classes that must have it, and for a message that says why.
 *
 * @example
 * const driver = { …, exec: unsupported("exec", "the engine has no way into a running task") };
 */
export function unsupported(
  operation: string,
  reason?: string,
): (...parameters: never[]) => Unsupported {
  return () => {
    const error = new DriverError(
      "not-supported",
      `This driver does not support "${operation}"${reason ? `: ${reason}` : ""}`,
      { details: { operation } },
    );
    const rejected = Promise.reject(error);
    // Iterated and never awaited, it must not count as an unhandled rejection.
    rejected.catch(() => {});
    return Object.assign(rejected, {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
    });
  };
}
