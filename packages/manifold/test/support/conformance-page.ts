/**
 * Writes docs/reference/conformance.md from the checks and from results of drivers, as
 * `node scripts/conformance.mjs` gives them: `process=process.json docker= …`, in the order of the
 * columns. One without a file stays as it is.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { driverChecks, formatChecks } from "../../src/testing/index.ts";

export const pagePath = fileURLToPath(
  new URL("../../../../docs/reference/conformance.md", import.meta.url),
);

export interface Outcome {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly reason?: string;
}

/** Results by driver, in the order of the columns. */
export type Columns = ReadonlyMap<string, ReadonlyMap<string, string>>;

const marks = { passed: "pass", failed: "FAIL", skipped: "–" } as const;

/** A column from what `--json` printed. */
export function columnOf(results: readonly Outcome[]): ReadonlyMap<string, string> {
  return new Map(results.map(({ name, outcome }) => [name, marks[outcome]]));
}

/** The columns of a page. */
export function readColumns(page: string): Columns {
  const table = page.slice(page.indexOf("## Results")).split("\n");
  const rows = table
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const [head = [], , ...body] = rows;
  return new Map(
    head
      .slice(1)
      .map((driver, index) => [
        driver,
        new Map(body.map((row) => [(row[0] ?? "").replaceAll("`", ""), row[index + 1] ?? ""])),
      ]),
  );
}

/** The whole page. */
export function renderPage(columns: Columns): string {
  const drivers = [...columns.keys()];
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const totals = drivers.map((driver) => {
    const marks = [...(columns.get(driver)?.values() ?? [])];
    return `${marks.filter((mark) => mark === "pass").length} of ${marks.length}`;
  });
  return `# Driver conformance

Here you find every check of the conformance kit, what it asks for, and what the drivers of this
project make of it. How to run the kit on your own driver is in
[Writing a driver](../guides/writing-a-driver.md).

A check is skipped only when the driver does not declare what it is about. Declaring and failing is
a failure. For each check the tests have a driver that is broken in just this one thing, and show
that it fails this check and no other.

## Checks

${formatChecks(driverChecks)}

## Results

Written by \`node scripts/conformance.mjs\` as root on Linux; – is a skip.

${row(["Check", ...drivers])}
${row(["---", ...drivers.map(() => "---")])}
${driverChecks
  .map(({ name }) =>
    row([`\`${name}\``, ...drivers.map((driver) => columns.get(driver)?.get(name) ?? "–")]),
  )
  .join("\n")}

${drivers.map((driver, index) => `* ${driver}: ${totals[index]} checks pass`).join("\n")}
`;
}

function current(): Columns {
  try {
    return readColumns(readFileSync(pagePath, "utf8"));
  } catch {
    return new Map();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const before = current();
  const columns = new Map<string, ReadonlyMap<string, string>>();
  for (const parameter of process.argv.slice(2)) {
    const [driver = "", file = ""] = parameter.split("=");
    const column = file ? columnOf(JSON.parse(readFileSync(file, "utf8"))) : before.get(driver);
    if (column) columns.set(driver, column);
  }
  writeFileSync(pagePath, renderPage(columns));
}
