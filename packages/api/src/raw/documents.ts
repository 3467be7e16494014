import type { Endpoint } from "../http/endpoint.ts";
import { etagOf, matchesEtag } from "../http/respond.ts";
import { hyperSchema } from "../openapi/hyper-schema.ts";
import { openApiDocument } from "../openapi/openapi.ts";
import type { RawRoute } from "./raw-route.ts";

/** The documents that describe the API; anyone may read them. */
export function documentRoutes(table: readonly Endpoint[], raw: readonly RawRoute[]): RawRoute[] {
  const documents: RawRoute[] = [];
  const made = new Map<string, string>();
  const serve = (
    path: string,
    type: string,
    summary: string,
    make: (url: string) => unknown,
  ): void => {
    documents.push({
      method: "GET",
      path,
      summary,
      types: [type],
      handler: async ({ platform, request }) => {
        const key = `${path} ${platform.publicUrl}`;
        const text = made.get(key) ?? JSON.stringify(make(platform.publicUrl));
        if (!made.has(key)) {
          made.clear();
          made.set(key, text);
        }
        const etag = etagOf(text);
        const known = request.headers.get("if-none-match");
        if (known !== null && matchesEtag(known, etag))
          return new Response(null, { status: 304, headers: { ETag: etag } });
        return new Response(text, { headers: { "Content-Type": type, ETag: etag } });
      },
    });
  };
  serve("/openapi.json", "application/json", "This document.", (url) =>
    openApiDocument(table, [...raw, ...documents], url),
  );
  serve("/schema", "application/schema+json", "The JSON hyper-schema of this API.", (url) =>
    hyperSchema(table, url),
  );
  return documents;
}
