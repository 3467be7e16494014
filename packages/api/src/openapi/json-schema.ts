import { z } from "zod";
import type { Endpoint } from "../http/endpoint.ts";

type Json = Record<string, unknown>;

/** JSON Schema 2020-12 of every named resource, with references among them. */
export function resourceSchemas(table: readonly Endpoint[], prefix: string): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const { response } of table) {
    const id = response && nameOf(response);
    if (response && id !== undefined && !registry.has(response)) registry.add(response, { id });
  }
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `${prefix}${id}`,
    io: "output",
    unrepresentable: "any",
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, clean(schema as Json)]),
  );
}

/** The name a schema was given with `.meta({ id })`. */
export function nameOf(schema: z.ZodType): string | undefined {
  return z.globalRegistry.get(schema)?.id;
}

/** JSON Schema of what a client may send. */
export function inputSchema(schema: z.ZodType): Json {
  return clean(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json);
}

/** JSON Schema of something without a name; named resources in it become references. */
export function outputSchema(schema: z.ZodType, prefix: string): Json {
  const { $defs: _named, ...rest } = clean(
    z.toJSONSchema(schema, { io: "output", unrepresentable: "any" }) as Json,
  );
  return JSON.parse(
    JSON.stringify(rest).replaceAll('"$ref":"#/$defs/', `"$ref":"${prefix}`),
  ) as Json;
}

function clean(schema: Json): Json {
  const { $schema: _dialect, $id: _id, id: _name, ...rest } = schema;
  return rest;
}

/** Names of the parameters of a path. */
export function parametersOf(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
}
