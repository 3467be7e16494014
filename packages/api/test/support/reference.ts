import { scopeVerbs } from "../../src/auth/scopes.ts";
import { endpoints } from "../../src/endpoints/index.ts";
import { apiErrors } from "../../src/errors.ts";
import { inputSchema, nameOf, resourceSchemas } from "../../src/openapi/json-schema.ts";

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is looked into at any depth.
type Schema = any;

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function typeOf(schema: Schema): string {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.map((one: unknown) => JSON.stringify(one)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const options: Schema[] | undefined = schema.anyOf ?? schema.oneOf;
  if (options) {
    const kinds = options.map(typeOf);
    return [...new Set(kinds)].join(" or ");
  }
  if (schema.type === "array") return `[${schema.items ? typeOf(schema.items) : ""}]`;
  if (schema.type === "object")
    return schema.properties ? `{${Object.keys(schema.properties).join(", ")}}` : "object";
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.format ?? schema.type ?? "any";
}

function bodyOf(schema: Schema): string {
  if (!schema.properties) return typeOf(schema);
  const required = new Set<string>(schema.required ?? []);
  return Object.entries<Schema>(schema.properties)
    .map(([name, field]) => `\`${name}\`${required.has(name) ? "*" : ""} ${typeOf(field)}`)
    .join("; ");
}

/** `docs/reference/api.md`, made from the table that routes and validates. */
export function referencePage(): string {
  const documents = resourceSchemas(endpoints, "#/");
  const lines = [
    "# HTTP API",
    "",
    "Every endpoint of `@dynokit/api` with what it takes and gives. The same as a machine-readable",
    "document: `GET /openapi.json` (OpenAPI 3.1) and `GET /schema` (JSON hyper-schema). This page is",
    "generated from the table that validates requests; a test fails when it is stale.",
    "",
    "Send `Accept: application/vnd.heroku+json; version=3` and `Authorization: Bearer <token>`.",
    "`*` marks required fields of a body. Lists take `Range` over the named fields.",
    "",
    "## Errors",
    "",
    "| code | status | `id` in the body |",
    "|---|---|---|",
    ...Object.entries(apiErrors).map(
      ([code, { status, id }]) => `| \`${code}\` | ${status} | \`${id}\` |`,
    ),
    "",
    "## Scopes of tokens",
    "",
    "Each may end in `@<app>` to count for that app alone.",
    "",
    "| scope | allows |",
    "|---|---|",
    ...Object.entries(scopeVerbs).map(([name, verbs]) => `| \`${name}\` | ${verbs.join(", ")} |`),
  ];
  const none = /^(Always (404|501)|Lists .*this platform has none)/;
  const resources = [...new Set(endpoints.map(({ resource }) => resource))].sort();
  const absent = endpoints.filter(({ summary }) => none.test(summary));
  for (const resource of resources) {
    const own = endpoints.filter((one) => one.resource === resource && !none.test(one.summary));
    if (own.length === 0) continue;
    lines.push(
      "",
      `## ${resource}`,
      "",
      "| endpoint | what it does | body | scope |",
      "|---|---|---|---|",
      ...own.map((one) => {
        const range = one.ranges ? ` Range: ${one.ranges.join(", ")}.` : "";
        const body = one.body ? bodyOf(inputSchema(one.body)) : "";
        return `| \`${one.method} ${one.path}\` | ${cell(one.summary + range)} | ${cell(body)} | ${one.open ? "none" : one.verb} |`;
      }),
    );
    const shown = own.map(({ response }) => response && nameOf(response)).find(Boolean);
    const properties: Record<string, Schema> = (shown && documents[shown]?.["properties"]) || {};
    if (Object.keys(properties).length > 0)
      lines.push(
        "",
        "| field | type |",
        "|---|---|",
        ...Object.entries(properties).map(
          ([name, schema]) => `| \`${name}\` | ${cell(typeOf(schema))} |`,
        ),
      );
  }
  lines.push(
    "",
    "## What this platform has none of",
    "",
    "Clients ask for these all the same: lists are empty, single things 404, making one 404 or 501.",
    "",
    ...absent.map(({ method, path }) => `* \`${method} ${path}\``),
    "",
  );
  return lines.join("\n");
}
