import { z } from "zod";
import { ApiError } from "../errors.ts";
import { type Outcome, toResponse } from "../http/answer.ts";
import { readBody } from "../http/body.ts";
import type { Endpoint } from "../http/endpoint.ts";
import type { Bindings } from "../http/router.ts";
import { authenticateRaw } from "../raw/authenticate-raw.ts";
import type { RawCall, RawRoute } from "../raw/raw-route.ts";
import { mayUse, type Tool, toolsOf } from "./tools.ts";

/** Newest first; what else a client asks for is answered with the first. */
const versions = ["2025-11-25", "2025-06-18", "2025-03-26"] as const;

const message = z.object({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.number()]).optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
});

/** Codes of JSON-RPC 2.0 §5.1. */
const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;

type Route = (request: Request, bindings?: Bindings) => Promise<Outcome>;

/**
 * `POST /mcp`: the endpoints of the table as tools for agents, by the Model Context Protocol's
 * streamable HTTP without sessions. A call goes through the API like any other request, with the
 * token's own rights and limits; `tools/list` shows what they leave.
 */
export function mcpRoute(table: readonly Endpoint[], route: Route): RawRoute {
  let made: ReturnType<typeof toolsOf> | undefined;
  // Their schemas take longer than all else of a start, and most platforms never show them.
  const tools = () => {
    made ??= toolsOf(table);
    return made;
  };
  return {
    method: "POST",
    path: "/mcp",
    authenticated: true,
    summary: "This API as tools of the Model Context Protocol (streamable HTTP, no sessions).",
    types: ["application/json"],
    accepts: "application/json",
    handler: async (call) => {
      refuseForeignPages(call);
      const parsed = message.safeParse(await readBody(call.request));
      if (!parsed.success)
        return failure(
          null,
          INVALID_REQUEST,
          "Send one JSON-RPC 2.0 message; batches are not taken.",
        );
      const { id, method, params = {} } = parsed.data;
      // Only requests have an answer: notifications need none, and we ask nothing that has one.
      if (id === undefined || method === undefined) {
        await identify(call);
        return new Response(null, { status: 202 });
      }
      if (method === "tools/call") return await callTool(call, tools(), route, id, params);
      const { grant } = await identify(call);
      switch (method) {
        case "initialize":
          return result(id, {
            protocolVersion:
              versions.find((one) => one === params["protocolVersion"]) ?? versions[0],
            capabilities: { tools: { listChanged: false } },
            serverInfo: { name: "dynokit", title: "dynokit Platform API", version: "3" },
            instructions:
              "Tools are the endpoints of the Platform API. Apps are named by id or name. Give dry_run to see what a change would do. Builds and releases go on after the call: ask for their status.",
          });
        case "ping":
          return result(id, {});
        case "tools/list":
          return result(id, {
            tools: [...tools().values()]
              .filter((tool) => mayUse(grant, tool))
              .map(({ declaration }) => declaration),
          });
        default:
          return failure(
            id,
            METHOD_NOT_FOUND,
            `There is no method ${JSON.stringify(method)} here.`,
          );
      }
    },
  };
}

/** Cookies do not count: an agent has a token. */
function withoutCookies({ request }: RawCall): Headers {
  const authorization = request.headers.get("authorization");
  return new Headers(authorization === null ? {} : { Authorization: authorization });
}

async function identify(call: RawCall) {
  const request = new Request(call.url, { headers: withoutCookies(call) });
  return await authenticateRaw({ ...call, request }, "identity");
}

/** A page of another origin must not reach a server on the user's own machine (DNS rebinding). */
function refuseForeignPages({ request, url }: RawCall): void {
  const origin = request.headers.get("origin");
  if (origin === null || (URL.canParse(origin) && new URL(origin).host === url.host)) return;
  throw new ApiError("forbidden", "Pages of other origins may not use /mcp.");
}

async function callTool(
  call: RawCall,
  tools: ReadonlyMap<string, Tool>,
  route: Route,
  id: string | number,
  params: Readonly<Record<string, unknown>>,
): Promise<Response> {
  const tool = tools.get(String(params["name"]));
  if (!tool) {
    await identify(call);
    return failure(id, INVALID_PARAMS, `There is no tool ${JSON.stringify(params["name"])}.`);
  }
  let request: Request;
  try {
    request = tool.request(params["arguments"], call.url.origin);
  } catch (error) {
    await identify(call);
    if (!ApiError.is(error)) throw error;
    // The model that wrote the arguments is to read what is wrong with them.
    return result(id, content(JSON.stringify(error.toBody()), true));
  }
  for (const [name, value] of withoutCookies(call)) request.headers.set(name, value);
  const answer = toResponse(await route(request, { address: call.address }));
  // A client learns from the status that it needs a token.
  if (answer.status === 401) return answer;
  const more = answer.headers.get("next-range");
  const text = await answer.text();
  return result(id, content(text, answer.status >= 400, more));
}

function content(text: string, isError: boolean, more: string | null = null): object {
  const rest =
    more === null
      ? []
      : [{ type: "text", text: `There is more: call again with range "${more}".` }];
  return { content: [{ type: "text", text }, ...rest], isError };
}

const result = (id: string | number, value: object) =>
  Response.json({ jsonrpc: "2.0", id, result: value });

const failure = (id: string | number | null, code: number, text: string) =>
  Response.json(
    { jsonrpc: "2.0", id, error: { code, message: text } },
    { status: code === INVALID_REQUEST ? 400 : 200 },
  );
