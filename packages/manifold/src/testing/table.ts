import { noCapabilities } from "../driver/capabilities.ts";
import type { DynoDriver } from "../driver/contract.ts";
import type { Check, CheckResult } from "./types.ts";

const marks = { passed: "pass", failed: "FAIL", skipped: "skip" } as const;

/** The results as a table for a terminal, failures explained below it. */
export function formatResults(results: readonly CheckResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length), 5);
  const lines = results.map((result) =>
    (
      `${String(result.number).padStart(2)}  ${result.name.padEnd(width)}  ${marks[result.outcome]}  ` +
      `${String(result.durationMs).padStart(6)} ms  ${result.reason ?? ""}`
    ).trimEnd(),
  );
  const failures = results
    .filter(({ outcome }) => outcome === "failed")
    .map(
      ({ name, passes, error }) => `\n${name} passes when: ${passes}\n  ${error?.message ?? ""}`,
    );
  return [...lines, "", formatTotals(results), ...failures].join("\n");
}

/** `64 passed, 0 failed, 8 skipped`. */
export function formatTotals(results: readonly CheckResult[]): string {
  const count = (outcome: CheckResult["outcome"]) =>
    results.filter((result) => result.outcome === outcome).length;
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

/** The results as a Markdown table, for the README of a driver. */
export function formatMarkdown(results: readonly CheckResult[]): string {
  return [
    "| # | Check | Result | Why not |",
    "| --- | --- | --- | --- |",
    ...results.map(({ number, name, outcome, reason, error }) => {
      const why = reason ?? error?.message.split("\n")[0] ?? "";
      return `| ${number} | \`${name}\` | ${marks[outcome]} | ${cell(why)} |`.replace(
        "|  |",
        "| |",
      );
    }),
    "",
    formatTotals(results),
  ].join("\n");
}

/** What a check needs before it runs, in words; undefined when it always does. */
export function describeNeed(check: Check): string | undefined {
  return check.skip?.(noCapabilities, {} as DynoDriver, {});
}

/** The checks themselves as a Markdown table. */
export function formatChecks(checks: readonly Check[]): string {
  return [
    "| # | Check | Passes when | Skipped when |",
    "| --- | --- | --- | --- |",
    ...checks.map((check) => {
      const { number, name, passes } = check;
      const need = describeNeed(check);
      return `| ${number} | \`${name}\` | ${cell(passes)} | ${cell(need ?? "never")} |`;
    }),
  ].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
