import { driverChecks } from "./checks.ts";
import { CheckContext, SkipCheck } from "./context.ts";
import type { Check, CheckResult, KitOptions, MakeDriver } from "./types.ts";

/** Runs one check in a context of its own and says what came out; never rejects. */
export async function runCheck(
  check: Check,
  make: MakeDriver,
  options: KitOptions = {},
): Promise<CheckResult> {
  const { number, name, concern, passes } = check;
  const started = performance.now();
  const done = (
    outcome: CheckResult["outcome"],
    more: { reason?: string; error?: Error } = {},
  ) => ({
    number,
    name,
    concern,
    passes,
    outcome,
    ...more,
    durationMs: Math.round(performance.now() - started),
  });
  const excluded = options.skip?.[name];
  if (excluded !== undefined) return done("skipped", { reason: excluded });
  let context: CheckContext | undefined;
  try {
    context = await CheckContext.open(make, options);
    const reason = check.skip?.(context.capabilities, context.driver, options);
    if (reason !== undefined) return done("skipped", { reason });
    await withTimeout(check.run(context), name, options.timeoutMs ?? 60_000);
    return done("passed");
  } catch (error) {
    if (error instanceof SkipCheck) return done("skipped", { reason: error.message });
    return done("failed", { error: error instanceof Error ? error : new Error(String(error)) });
  } finally {
    await context?.close();
  }
}

/** The checks that the options leave. */
export function selectChecks(options: KitOptions = {}): readonly Check[] {
  const { only } = options;
  return only
    ? driverChecks.filter(({ name }) => only.some((beginning) => name.startsWith(beginning)))
    : driverChecks;
}

/** Runs the checks one after the other, for a table or a program of one's own. */
export async function runDriverChecks(
  make: MakeDriver,
  options: KitOptions = {},
  onResult: (result: CheckResult) => void = () => {},
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of selectChecks(options)) {
    const result = await runCheck(check, make, options);
    onResult(result);
    results.push(result);
  }
  return results;
}

async function withTimeout(work: Promise<void>, name: string, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${name} did not end within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // What goes on after the time-out is cut short when the context closes.
    work.catch(() => {});
  }
}
