import { z } from "zod";
import type { DynoDriver } from "./contract.ts";

const compiled = new WeakMap<DynoDriver, z.ZodType>();

/**
 * What is wrong with options of a driver, by its `configSchema`; undefined: nothing, or the driver
 * says nothing about its options. Names members and never values: they may be secret. Throws when
 * the schema itself can't be understood.
 */
export function configProblem(
  driver: DynoDriver,
  config: Readonly<Record<string, unknown>> | undefined,
): string | undefined {
  if (!driver.configSchema) return undefined;
  let schema = compiled.get(driver);
  if (!schema) {
    schema = z.fromJSONSchema(driver.configSchema);
    compiled.set(driver, schema);
  }
  const parsed = schema.safeParse(config ?? {});
  if (parsed.success) return undefined;
  const [issue] = parsed.error.issues;
  const path = ["config", ...(issue?.path ?? [])].join(".");
  return `${path} is not acceptable: ${issue?.message ?? "it does not fit the schema"}`;
}
