import { createRequire } from "node:module";
import { runCheck, selectChecks } from "./run.ts";
import type { KitOptions, MakeDriver } from "./types.ts";

/** What vitest and node:test hand to a test: a way to skip it while it runs. */
interface TestContext {
  readonly skip?: (note?: string) => unknown;
}
type Describe = (name: string, body: () => void) => unknown;
type It = (name: string, body: (context: TestContext) => Promise<void>) => unknown;

export interface DescribeOptions extends KitOptions {
  /** Of the test runner; default the global ones, else those of node:test. */
  readonly describe?: Describe;
  readonly it?: It;
  /** Title of the suite; default `driver conformance`. */
  readonly name?: string;
}

/**
 * Registers a test for each check of the kit with the caller's runner. A check whose capability
 * is not declared is skipped with the reason; declaring it and failing is a failure.
 *
 * @example
 * import { describe, it } from "vitest";
 * describeDriver(() => myDriver(), { describe, it });
 */
export function describeDriver(make: MakeDriver, options: DescribeOptions = {}): void {
  const { describe, it } = runnerOf(options);
  describe(options.name ?? "driver conformance", () => {
    for (const check of selectChecks(options)) {
      it(`${check.number} ${check.name}: ${check.passes}`, async (test) => {
        const result = await runCheck(check, make, options);
        if (result.outcome === "failed") throw result.error;
        // vitest leaves the test by an exception, node:test goes on: nothing follows.
        if (result.outcome === "skipped") test.skip?.(result.reason);
      });
    }
  });
}

function runnerOf(options: DescribeOptions): { readonly describe: Describe; readonly it: It } {
  const scope = globalThis as { describe?: Describe; it?: It };
  const describe = options.describe ?? scope.describe;
  const it = options.it ?? scope.it;
  if (describe && it) return { describe, it };
  const runner = createRequire(import.meta.url)("node:test") as { describe: Describe; it: It };
  return { describe: describe ?? runner.describe, it: it ?? runner.it };
}
