import { apiErrors } from "../errors.ts";
import type { Endpoint } from "../http/endpoint.ts";
import type { RawRoute } from "../raw/raw-route.ts";
import { inputSchema, nameOf, outputSchema, parametersOf, resourceSchemas } from "./json-schema.ts";

type Json = Record<string, unknown>;

const header = (name: string) => ({ $ref: `#/components/headers/${name}` });
const parameter = (name: string) => ({ $ref: `#/components/parameters/${name}` });

const commonAnswerHeaders = {
  "Request-Id": header("Request-Id"),
  ETag: header("ETag"),
  "RateLimit-Remaining": header("RateLimit-Remaining"),
};

/** The OpenAPI 3.1 document of the table. */
export function openApiDocument(
  table: readonly Endpoint[],
  raw: readonly RawRoute[],
  serverUrl: string,
): Json {
  const paths: Record<string, Json> = {};
  const add = (path: string, method: string, item: Json) => {
    paths[path] = { ...paths[path], [method.toLowerCase()]: item };
  };
  for (const endpoint of table) add(endpoint.path, endpoint.method, operation(endpoint));
  for (const route of raw) add(route.path, route.method, rawOperation(route));
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    info: {
      title: "dynokit Platform API",
      version: "3",
      description:
        "Compatible with version 3 of Heroku's Platform API. Generated from the table that validates requests.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: serverUrl }],
    security: [{ bearer: [] }, { basic: [] }],
    tags: [...new Set(table.map(({ resource }) => resource))].map((name) => ({ name })),
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    webhooks: { event: webhook() },
    components: {
      schemas: { ...resourceSchemas(table, "#/components/schemas/"), error: errorSchema() },
      headers: headers(),
      parameters: parameters(),
      responses: { Error: errorAnswer("The request failed; `id` says how.") },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        basic: {
          type: "http",
          scheme: "basic",
          description: "The token is the password; the user name is ignored.",
        },
      },
    },
  };
}

function operation(endpoint: Endpoint): Json {
  const status = endpoint.status ?? 200;
  const list = endpoint.ranges !== undefined && endpoint.method === "GET";
  const writes = endpoint.method !== "GET";
  const answer = {
    description: list ? "The whole list, or its last page." : "Done.",
    headers: {
      ...commonAnswerHeaders,
      ...(list
        ? { "Accept-Ranges": header("Accept-Ranges"), "Content-Range": header("Content-Range") }
        : {}),
    },
    content: { "application/json": { schema: answerSchema(endpoint, list) } },
  };
  return {
    operationId: operationId(endpoint),
    tags: [endpoint.resource],
    summary: endpoint.summary,
    "x-title": endpoint.title,
    "x-scope": endpoint.verb,
    "x-stability": endpoint.stability ?? "production",
    ...(endpoint.open ? { security: [{ basic: [] }, { bearer: [] }] } : {}),
    parameters: [
      ...parametersOf(endpoint.path).map((name) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...queryParameters(endpoint),
      parameter("Accept"),
      ...(list ? [parameter("Range")] : []),
      ...(writes
        ? [parameter("dry_run"), parameter("Prefer"), parameter("If-Match")]
        : [parameter("If-None-Match")]),
      ...(endpoint.method === "POST" ? [parameter("Idempotency-Key")] : []),
    ],
    ...(endpoint.body
      ? {
          requestBody: {
            required: endpoint.bodyOptional !== true,
            content: { "application/json": { schema: inputSchema(endpoint.body) } },
          },
        }
      : {}),
    responses: {
      [status]: answer,
      ...(list
        ? {
            206: {
              ...answer,
              description: "A page; Next-Range asks for the next.",
              headers: { ...answer.headers, "Next-Range": header("Next-Range") },
            },
            416: { $ref: "#/components/responses/Error" },
          }
        : {}),
      ...(writes ? {} : { 304: { description: "You have it already." } }),
      ...Object.fromEntries(
        failures(endpoint).map((code) => [code, { $ref: "#/components/responses/Error" }]),
      ),
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function answerSchema(endpoint: Endpoint, list: boolean): Json {
  if (!endpoint.response) return { type: "object", additionalProperties: false };
  const name = nameOf(endpoint.response);
  const schema =
    name === undefined
      ? outputSchema(endpoint.response, "#/components/schemas/")
      : { $ref: `#/components/schemas/${name}` };
  return list ? { type: "array", items: schema } : schema;
}

function failures(endpoint: Endpoint): number[] {
  return [
    400,
    401,
    403,
    ...(endpoint.path.includes("{") ? [404] : []),
    406,
    ...(endpoint.method === "GET" ? [] : [409, 412, 413, 422]),
    429,
    503,
  ];
}

function queryParameters(endpoint: Endpoint): Json[] {
  if (!endpoint.query) return [];
  const schema = inputSchema(endpoint.query);
  return Object.entries((schema["properties"] ?? {}) as Record<string, Json>).map(
    ([name, property]) => ({ name, in: "query", required: false, schema: property }),
  );
}

/** Name of an endpoint that holds in all documents: resource and title in camel case. */
export function operationId(endpoint: Endpoint): string {
  const words = `${endpoint.resource} ${endpoint.title}`.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words
    .map((word, index) => (index === 0 ? word : `${word[0]?.toUpperCase()}${word.slice(1)}`))
    .join("");
}

function rawOperation(route: RawRoute): Json {
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replaceAll(/[^a-z]+/gi, "_")}`,
    summary: route.summary,
    ...(route.authenticated ? {} : { security: [] }),
    parameters: [
      ...parametersOf(route.path).map((name) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...(route.parameters ?? []).map((one) => ({ ...one, schema: { type: "string" } })),
    ],
    ...(route.accepts ? { requestBody: { required: true, content: { [route.accepts]: {} } } } : {}),
    responses: {
      200: {
        description: "Done.",
        content: Object.fromEntries(route.types.map((type) => [type, {}])),
      },
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function errorSchema(): Json {
  return {
    type: "object",
    required: ["id", "message"],
    additionalProperties: false,
    properties: {
      id: { enum: [...new Set(Object.values(apiErrors).map(({ id }) => id))] },
      message: { type: "string" },
      resource: { type: "string" },
      url: { type: "string" },
      app: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
      errors: {
        type: "array",
        items: {
          type: "object",
          required: ["pointer", "message"],
          properties: { pointer: { type: "string" }, message: { type: "string" } },
        },
      },
    },
  };
}

function errorAnswer(description: string): Json {
  return {
    description,
    headers: { "Request-Id": header("Request-Id") },
    content: { "application/json": { schema: { $ref: "#/components/schemas/error" } } },
  };
}

function headers(): Json {
  const text = (description: string) => ({ description, schema: { type: "string" } });
  return {
    "Request-Id": text("Names this request in the logs of the platform."),
    ETag: text("Names this state of the resource, for If-None-Match and If-Match."),
    "RateLimit-Remaining": { description: "Requests you have left.", schema: { type: "integer" } },
    "Accept-Ranges": text("Fields that Range may name."),
    "Content-Range": text("What this page holds."),
    "Next-Range": text("Send it as Range to get the next page."),
  };
}

function parameters(): Json {
  const text = (
    name: string,
    place: string,
    description: string,
    schema: Json = { type: "string" },
  ) => ({
    name,
    in: place,
    required: false,
    description,
    schema,
  });
  return {
    Accept: text("Accept", "header", "application/vnd.heroku+json; version=3, or any JSON."),
    Range: text("Range", "header", "<field> [from]..[to]; max=N, order=asc|desc"),
    "If-None-Match": text("If-None-Match", "header", "Answer 304 when nothing changed."),
    "If-Match": text("If-Match", "header", "Answer 412 when it was changed meanwhile."),
    "Idempotency-Key": text("Idempotency-Key", "header", "Makes a repetition harmless for 24 h."),
    Prefer: text("Prefer", "header", "handling=preview checks and answers without acting."),
    dry_run: text("dry_run", "query", "The same as Prefer: handling=preview."),
  };
}

function webhook(): Json {
  return {
    post: {
      summary: "What a subscribed URL receives, signed in Heroku-Webhook-Hmac-SHA256.",
      requestBody: {
        content: {
          "application/json": {
            schema: {
              type: "object",
              required: ["id", "action", "resource", "actor", "data", "previous_data", "sequence"],
            },
          },
        },
      },
      responses: { 200: { description: "Received." } },
    },
  };
}
