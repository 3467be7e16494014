import { z } from "zod";
import { type Grant, scopeVerbs, splitScope } from "../auth/scopes.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../http/body.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { inputSchema, parametersOf } from "../openapi/json-schema.ts";
import { operationId } from "../openapi/openapi.ts";

type Json = Record<string, unknown>;

/** An endpoint as a tool of the Model Context Protocol. */
export interface Tool {
  readonly endpoint: Endpoint;
  /** As `tools/list` shows it. */
  readonly declaration: { readonly name: string } & Json;
  /** @throws ApiError `invalid-params` for arguments that make no request. */
  request(values: unknown, origin: string): Request;
}

const text = z.string().min(1);

/** A tool for every endpoint that a token opens, by its name in the OpenAPI document. */
export function toolsOf(table: readonly Endpoint[]): ReadonlyMap<string, Tool> {
  const tools = table.filter((endpoint) => endpoint.open !== true).map(toolOf);
  return new Map(tools.map((tool) => [tool.declaration.name, tool]));
}

/** Whether a token may use a tool at all, be it for one app. */
export function mayUse(grant: Grant, { endpoint }: Tool): boolean {
  return grant.scopes.some((entry) => scopeVerbs[splitScope(entry).name]?.includes(endpoint.verb));
}

function toolOf(endpoint: Endpoint): Tool {
  const { method } = endpoint;
  const names = parametersOf(endpoint.path);
  const list = method === "GET" && endpoint.ranges !== undefined;
  const parts: Record<string, Json> = {};
  const definitions: Json = {};
  const add = (name: string, schema: z.ZodType) => {
    // References count from the root of the whole.
    const { $defs, ...rest } = inputSchema(schema);
    Object.assign(definitions, $defs);
    parts[name] = rest;
  };
  for (const name of names) parts[name] = { type: "string", description: `Id or name (${name})` };
  if (endpoint.query) add("query", endpoint.query);
  if (endpoint.body) add("body", endpoint.body);
  if (list)
    parts["range"] = {
      type: "string",
      description: `Page, such as "${endpoint.ranges?.[0]} ..; max=20"`,
    };
  if (method !== "GET")
    parts["dry_run"] = { type: "boolean", description: "Check and show it, but change nothing" };
  const required = [...names, ...(endpoint.body && !endpoint.bodyOptional ? ["body"] : [])];
  const shape = z.strictObject({
    ...Object.fromEntries(names.map((name) => [name, text])),
    query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    body: z.unknown().optional(),
    range: text.optional(),
    dry_run: z.boolean().optional(),
  });
  return {
    endpoint,
    declaration: {
      name: operationId(endpoint),
      title: `${endpoint.resource}: ${endpoint.title}`,
      description: `${endpoint.summary} (${method} ${endpoint.path})`,
      inputSchema: {
        type: "object",
        properties: parts,
        ...(required.length > 0 ? { required } : {}),
        additionalProperties: false,
        ...(Object.keys(definitions).length > 0 ? { $defs: definitions } : {}),
      },
      annotations: {
        readOnlyHint: method === "GET",
        destructiveHint: method === "DELETE",
        idempotentHint: method !== "POST",
        openWorldHint: false,
      },
    },
    request(values, origin) {
      const given: Json = validate(shape, values ?? {}, "arguments");
      for (const name of Object.keys(given))
        if (!Object.hasOwn(parts, name))
          throw new ApiError(
            "invalid-params",
            `${name}: is not an argument of this tool. It takes ${Object.keys(parts).join(", ") || "none"}.`,
            { errors: [{ pointer: `/${name}`, message: "is not an argument of this tool" }] },
          );
      const path = endpoint.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent(String(given[name])),
      );
      const url = new URL(path, origin);
      for (const [name, value] of Object.entries((given["query"] ?? {}) as Json))
        url.searchParams.set(name, String(value));
      if (given["dry_run"] === true) url.searchParams.set("dry_run", "true");
      const headers = new Headers({ Accept: "application/vnd.heroku+json; version=3" });
      if (given["range"] !== undefined) headers.set("Range", headerValue(String(given["range"])));
      if (given["body"] === undefined) return new Request(url, { method, headers });
      headers.set("Content-Type", "application/json");
      return new Request(url, { method, headers, body: JSON.stringify(given["body"]) });
    },
  };
}

function headerValue(value: string): string {
  if (/^[\x20-\x7e]+$/.test(value)) return value;
  throw new ApiError("invalid-params", "range: must be printable ASCII.", {
    errors: [{ pointer: "/range", message: "must be printable ASCII" }],
  });
}
