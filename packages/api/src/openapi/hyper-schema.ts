import type { Endpoint } from "../http/endpoint.ts";
import { inputSchema, nameOf, resourceSchemas } from "./json-schema.ts";

type Json = Record<string, unknown>;

const rels: Readonly<Record<string, string>> = {
  GET: "self",
  POST: "create",
  PATCH: "update",
  PUT: "update",
  DELETE: "destroy",
};

/** The JSON hyper-schema (draft 4) from which Heroku's client generators work. */
export function hyperSchema(table: readonly Endpoint[], serverUrl: string): Json {
  const documents = resourceSchemas(table, "#/definitions/");
  const names = [...new Set(table.map(({ resource }) => resource))].sort();
  const definitions = Object.fromEntries(
    names.map((name) => [name, definition(name, table, documents)]),
  );
  return {
    $schema: "http://interagent.github.io/interagent-hyper-schema",
    title: "dynokit Platform API",
    description: "Compatible with version 3 of Heroku's Platform API.",
    type: ["object"],
    definitions,
    properties: Object.fromEntries(names.map((name) => [name, { $ref: `#/definitions/${name}` }])),
    links: [{ href: serverUrl, rel: "self" }],
  };
}

function definition(
  name: string,
  table: readonly Endpoint[],
  documents: Readonly<Record<string, Json>>,
): Json {
  const own = table.filter(({ resource }) => resource === name);
  const shown = own.find(({ response }) => response && nameOf(response) !== undefined)?.response;
  const document = documents[(shown && nameOf(shown)) ?? ""] ?? {};
  const properties = (document["properties"] ?? {}) as Record<string, Json>;
  const identities = ["id", ...identityFields(name)].filter((field) => properties[field]);
  return {
    title: name,
    description: own[0]?.summary ?? name,
    stability: own[0]?.stability ?? "production",
    strictProperties: document["additionalProperties"] === false,
    type: ["object"],
    definitions: {
      ...properties,
      identity: {
        anyOf: (identities.length === 0 ? ["id"] : identities).map((field) => ({
          $ref: `#/definitions/${name}/definitions/${field}`,
        })),
      },
      ...(properties["id"] ? {} : { id: { type: ["string"] } }),
    },
    properties,
    links: own.map((endpoint) => ({
      title: endpoint.title,
      description: endpoint.summary,
      method: endpoint.method,
      href: endpoint.path.replaceAll(
        /\{(\w+)\}/g,
        (_all, parameter: string) =>
          `{(${encodeURIComponent(`#/definitions/${parameter.replaceAll("_", "-")}/definitions/identity`)})}`,
      ),
      rel: endpoint.ranges ? "instances" : rels[endpoint.method],
      ...(endpoint.body ? { schema: inputSchema(endpoint.body) } : {}),
      targetSchema: endpoint.ranges
        ? { type: ["array"], items: { $ref: `#/definitions/${name}` } }
        : { $ref: `#/definitions/${name}` },
    })),
  };
}

function identityFields(name: string): string[] {
  if (name === "domain") return ["hostname"];
  if (name === "release") return ["version"];
  if (name === "account" || name === "collaborator") return ["email"];
  if (name === "formation") return ["type"];
  if (name === "log-drain") return ["url", "token"];
  return ["name"];
}
