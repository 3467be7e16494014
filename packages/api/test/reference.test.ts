import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { referencePage } from "./support/reference.ts";

const file = fileURLToPath(new URL("../../../docs/reference/api.md", import.meta.url));

// DYNOKIT_WRITE_REFERENCE=1 writes the page instead of comparing it.
test("the reference page is what the endpoint table says", () => {
  const page = referencePage();
  if (process.env["DYNOKIT_WRITE_REFERENCE"] === "1") writeFileSync(file, page);
  expect(
    readFileSync(file, "utf8") === page,
    "stale: run this test with DYNOKIT_WRITE_REFERENCE=1",
  ).toBe(true);
});
