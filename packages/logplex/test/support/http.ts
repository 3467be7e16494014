import type { ListenAddress } from "../../src/index.ts";

/** Sends one request to a listener. */
export function post(
  address: ListenAddress,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
  method = "POST",
): Promise<Response> {
  return fetch(`http://${address.host}:${address.port}${path}`, {
    method,
    headers,
    ...(method === "GET" ? {} : { body: typeof body === "string" ? body : new Uint8Array(body) }),
  });
}

/** `Authorization` of a token. */
export function basic(user: string, password: string): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

/** Octet-counted frames. */
export function frames(...messages: string[]): Buffer {
  return Buffer.from(
    messages.map((message) => `${Buffer.byteLength(message)} ${message}`).join(""),
  );
}
