import { afterAll, beforeAll, expect, test } from "vitest";
import { Harness } from "./support/harness.ts";

const harness = new Harness();
beforeAll(() => harness.start());
afterAll(() => harness.close());

function references(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(references);
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "$ref" && typeof value === "string" ? [value] : references(value),
  );
}

test("every reference of the OpenAPI document leads somewhere in it", async () => {
  const { json } = await harness.call("GET", "/openapi.json", undefined, {}, null);
  const broken = [...new Set(references(json))].filter((reference) => {
    const path = reference.replace(/^#\//, "").split("/");
    return path.reduce((node, key) => node?.[key], json) === undefined;
  });
  expect(json.openapi).toBe("3.1.0");
  expect(references(json).length).toBeGreaterThan(100);
  expect(broken).toEqual([]);
});
