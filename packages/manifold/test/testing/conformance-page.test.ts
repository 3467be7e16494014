import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memoryDriver } from "../../src/index.ts";
import { driverChecks, memoryFixtures, runDriverChecks } from "../../src/testing/index.ts";
import { columnOf, pagePath, readColumns, renderPage } from "../support/conformance-page.ts";

const page = readFileSync(pagePath, "utf8");
const columns = readColumns(page);

describe("docs/reference/conformance.md", () => {
  it("is what the checks say now", () => {
    expect(page).toBe(renderPage(columns));
  });

  it.each([...columns])(
    "has a result of the %s driver for every check, and no failure",
    (_, of) => {
      expect([...of.keys()]).toEqual(driverChecks.map(({ name }) => name));
      for (const mark of of.values()) expect(["pass", "–"]).toContain(mark);
    },
  );

  it("shows what the memory driver makes of the checks now", async () => {
    const { world } = memoryDriver();
    const results = await runDriverChecks(
      () => memoryDriver({ world, script: memoryFixtures, stats: true }),
      { observe: (word) => world.processes(word) },
    );
    expect(columnOf(results)).toEqual(columns.get("memory"));
  });
});
