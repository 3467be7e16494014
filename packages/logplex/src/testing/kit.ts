/** One check of a kit. */
export interface KitCheck<T> {
  /** Stable name, kebab-case; what a report shows. */
  readonly name: string;
  /** What the subject promises. */
  readonly promise: string;
  /** Makes a fresh subject, tries it, and throws an `AssertionError` when it breaks the promise. */
  run(make: () => T | Promise<T>): Promise<void>;
}

/** `describe` and `it` of the caller's runner; vitest and `node:test` both fit. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
}

/** Registers each check as a test. */
export function describeChecks<T>(
  title: string,
  checks: readonly KitCheck<T>[],
  make: () => T | Promise<T>,
  runner: TestRunner,
): void {
  runner.describe(title, () => {
    for (const check of checks) {
      runner.it(`${check.name}: ${check.promise}`, () => check.run(make));
    }
  });
}
