import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Api } from "../api.ts";
import { StaticFiles } from "./files.ts";
import { ConsoleSessions } from "./session.ts";

const maxBodyBytes = 4096;

/** Options of {@link serveConsole}. */
export interface ConsoleOptions {
  /** Folder of the built console, `directory` of `@dynokit/console`. */
  readonly directory: string;
}

/**
 * Serves the web console below `/console/` and lets its session cookie stand for a token.
 *
 * A cookie counts only together with the console's own header, which no page of another origin can
 * set, and never from another site (`SameSite=Strict`, `Sec-Fetch-Site`).
 * @returns the removal of the console
 * @throws ApiError `bad-request` when the folder is not a built console.
 */
export function serveConsole(api: Api, { directory }: ConsoleOptions): () => void {
  const files = new StaticFiles(directory);
  const { clock, store } = api.platform;
  const sessions = new ConsoleSessions(store.secrets, clock);

  return api.intercept((request, response) => {
    const path = (request.url ?? "/").split("?")[0] as string;
    if (path === "/console" || path === "/console/") {
      // Assets are named relative to the folder, so its own name must end in a slash.
      if (path === "/console") response.writeHead(308, { Location: "/console/" }).end();
      else files.serve("", request, response);
      return true;
    }
    if (path === "/console/session") {
      void answerSession(request, response);
      return true;
    }
    if (path.startsWith("/console/")) {
      if (!files.serve(path.slice("/console/".length), request, response))
        respond(response, 404, "not_found", "There is no such file.");
      return true;
    }
    if (request.headers.authorization === undefined && fromConsole(request)) {
      const token = sessions.tokenOf(request);
      if (token !== undefined) authorize(request, token);
    }
    return false;
  });

  async function answerSession(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const secure = (request.socket as TLSSocket).encrypted === true;
    if (!fromConsole(request))
      return respond(response, 403, "forbidden", "This address is for the console's own page.");
    if (request.method === "DELETE") {
      response.setHeader("Set-Cookie", sessions.end(secure));
      return respond(response, 200, "signed_out", "Signed out.");
    }
    if (request.method !== "POST")
      return respond(
        response,
        405,
        "method_not_allowed",
        "Use POST to sign in and DELETE to sign out.",
      );
    const token = await readToken(request);
    if (token === undefined)
      return respond(response, 400, "bad_request", 'Send the token as JSON: {"token": "…"}.');
    const check = await api.fetch(
      new Request("http://localhost/account", { headers: { authorization: `Bearer ${token}` } }),
    );
    if (!check.ok)
      return respond(response, 401, "unauthorized", "The platform does not accept this token.");
    response.setHeader("Set-Cookie", sessions.begin(token, secure));
    return respond(response, 201, "signed_in", "Signed in.");
  }
}

function fromConsole(request: IncomingMessage): boolean {
  const site = request.headers["sec-fetch-site"];
  return (
    request.headers["x-dynokit-console"] === "1" && (site === undefined || site === "same-origin")
  );
}

/** As if the client had sent the header itself; the raw list is what the API reads. */
function authorize(request: IncomingMessage, token: string): void {
  request.headers.authorization = `Bearer ${token}`;
  request.rawHeaders.push("Authorization", `Bearer ${token}`);
}

async function readToken(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += (chunk as Buffer).length;
      if (size > maxBodyBytes) return undefined;
      chunks.push(chunk as Buffer);
    }
    const { token } = JSON.parse(Buffer.concat(chunks).toString()) as { token?: unknown };
    // What could not be a header value cannot be a token.
    return typeof token === "string" && /^[\x21-\x7e]{1,512}$/.test(token) ? token : undefined;
  } catch {
    return undefined; // Cut off, or not JSON: the answer says what to send.
  }
}

function respond(response: ServerResponse, status: number, id: string, message: string): void {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify({ id, message }));
}
