import { Hono } from "hono";
import { ApiError } from "../errors.ts";
import type { RawRoute } from "../raw/raw-route.ts";
import type { Answer, Outcome } from "./answer.ts";
import { type DispatchOptions, dispatch, errorResponse, newRequestId } from "./dispatch.ts";
import type { Endpoint } from "./endpoint.ts";
import { commonHeaders, preflight } from "./respond.ts";

/** What the server knows of a connection. */
export interface Bindings {
  readonly address?: string;
}

/** Fixed segments win over parameters, whatever the order in the table. */
function bySpecificity(a: { readonly path: string }, b: { readonly path: string }): number {
  const key = (path: string) => path.replaceAll(/\{\w+\}/g, "\uffff");
  return key(a.path) < key(b.path) ? -1 : 1;
}

/**
 * Hono hands on what a handler gives; only for HEAD it makes a `Response` of its status and
 * headers, which an {@link Answer} has in the same place.
 */
const handOn = (outcome: Outcome) => outcome as Response;

const honoPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ":$1");

/** Routes requests to the endpoints of the table and to the raw routes. */
export function createRouter(
  options: DispatchOptions,
  table: readonly Endpoint[],
  raw: readonly RawRoute[],
): (request: Request, bindings?: Bindings) => Promise<Outcome> {
  const { platform } = options;
  const app = new Hono<{ Bindings: Bindings }>({ strict: false });
  for (const endpoint of [...table].sort(bySpecificity))
    app.on(endpoint.method, honoPath(endpoint.path), async (context) =>
      handOn(
        await dispatch(options, {
          endpoint,
          request: context.req.raw,
          params: context.req.param() as Record<string, string>,
          address: context.env.address ?? "local",
        }),
      ),
    );
  for (const route of [...raw].sort(bySpecificity))
    app.on(route.method, honoPath(route.path), async (context) => {
      const headers = commonHeaders(newRequestId());
      try {
        platform.assertOpen();
        const response = await route.handler({
          platform,
          request: context.req.raw,
          url: new URL(context.req.url),
          address: context.env.address ?? "local",
          params: context.req.param() as Record<string, string>,
          answerHeaders: headers,
        });
        for (const [name, value] of Object.entries(headers))
          if (!response.headers.has(name)) response.headers.set(name, value);
        return response;
      } catch (error) {
        return handOn(errorResponse(platform, context.req.method, error, headers));
      }
    });
  const patterns = [...table, ...raw].map(({ method, path }) => ({
    method,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}/?$`),
  }));
  app.notFound((context) => {
    const headers = commonHeaders(newRequestId());
    const { method, path } = context.req;
    const allowed = patterns.filter(({ pattern }) => pattern.test(path)).map((one) => one.method);
    const error =
      allowed.length === 0
        ? new ApiError(
            "not-found",
            "The requested API endpoint was not found. Are you using the right HTTP verb and path? See /openapi.json.",
          )
        : new ApiError(
            "method-not-allowed",
            `${method} is not possible here; ${[...new Set(allowed)].join(", ")} is.`,
            {
              headers: { Allow: [...new Set(allowed)].join(", ") },
            },
          );
    return handOn(errorResponse(platform, method, error, headers));
  });
  app.onError((error, context) =>
    handOn(errorResponse(platform, context.req.method, error, commonHeaders(newRequestId()))),
  );
  return async (request, bindings = {}) => {
    if (request.method === "OPTIONS") return preflight(commonHeaders(newRequestId()));
    return await app.fetch(request, bindings);
  };
}
