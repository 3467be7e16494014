import { z } from "zod";
import { CliError } from "../errors.ts";

const envValue = z.union([
  z.string(),
  z.object({
    value: z.string().optional(),
    description: z.string().optional(),
    required: z.boolean().optional(),
  }),
]);

/**
 * What an app should be, as a file. Heroku's `app.json` is read as well: `env`, `formation` and
 * `buildpacks` have its form; `domains`, `drains` and `maintenance` are ours.
 */
const schema = z
  .object({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]{1,28}[a-z0-9]$/)
      .optional(),
    env: z.record(z.string().regex(/^\w+$/), envValue).optional(),
    formation: z
      .record(
        z.string(),
        z.object({ quantity: z.number().int().min(0), size: z.string().optional() }),
      )
      .optional(),
    buildpacks: z.array(z.object({ url: z.string() })).optional(),
    domains: z.array(z.string()).optional(),
    drains: z.array(z.string()).optional(),
    maintenance: z.boolean().optional(),
  })
  .loose();

export type AppFile = z.infer<typeof schema>;

/** Reads an app file; a mistake names the place in it. */
export function parseAppFile(text: string, path: string): AppFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CliError("usage", `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(
    (issue) => `${path}: ${issue.path.join(".") || "the file"}: ${issue.message}`,
  );
  throw new CliError("usage", faults.join("\n"));
}

/** Values that the file gives; entries that only describe a variable give none. */
export function givenConfig(file: AppFile): Record<string, string> {
  const given = Object.entries(file.env ?? {}).flatMap(([key, value]): [string, string][] => {
    if (typeof value === "string") return [[key, value]];
    return value.value === undefined ? [] : [[key, value.value]];
  });
  return Object.fromEntries(given);
}

/** Variables that the file demands and gives no value for. */
export function requiredConfig(file: AppFile): string[] {
  return Object.entries(file.env ?? {})
    .filter(
      ([, value]) =>
        typeof value !== "string" && value.value === undefined && value.required !== false,
    )
    .map(([key]) => key);
}
