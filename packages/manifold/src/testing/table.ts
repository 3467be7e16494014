import type { CheckResult } from "./types.ts";

const marks = { passed: "pass", failed: "FAIL", skipped: "skip" } as const;

/** The results as a table for a terminal, failures explained below it. */
export function formatResults(results: readonly CheckResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length), 5);
  const lines = results.map(
    (result) =>
      `${String(result.number).padStart(2)}  ${result.name.padEnd(width)}  ${marks[result.outcome]}  ` +
      `${String(result.durationMs).padStart(6)} ms  ${result.reason ?? ""}`.trimEnd(),
  );
  const count = (outcome: CheckResult["outcome"]) =>
    results.filter((result) => result.outcome === outcome).length;
  const failures = results
    .filter(({ outcome }) => outcome === "failed")
    .map(
      ({ name, passes, error }) => `\n${name} passes when: ${passes}\n  ${error?.message ?? ""}`,
    );
  return [
    ...lines,
    "",
    `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`,
    ...failures,
  ].join("\n");
}
