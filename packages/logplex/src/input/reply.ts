import type { ServerResponse } from "node:http";

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

/**
 * Answers with `{id, code, message, …}`. Names of headers begin with a capital letter; other
 * extras go into the body.
 */
export function sendError(
  response: ServerResponse,
  status: number,
  id: string,
  message: string,
  extras: Readonly<Record<string, unknown>> = {},
): void {
  const headers: Record<string, string> = {};
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(extras)) {
    if (/^[A-Z]/.test(name)) headers[name] = String(value);
    else fields[name] = value;
  }
  sendJson(response, status, { id, code: id, ...fields, message }, headers);
}
