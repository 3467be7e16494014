import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { type AppRouteOptions, RouteTable } from "@dynokit/router";
import { expect, test } from "vitest";
import { exchange, get, rig } from "./support/harness.ts";
import { listening } from "./support/listening.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");

async function secureApp(options: object = {}) {
  const seen: string[] = [];
  const server = createServer(
    { cert: fixture("app.crt"), key: fixture("app.key"), ...options },
    (request, response) => {
      seen.push(
        `${request.method} ${(request.socket as never as { servername: string }).servername}`,
      );
      request.pipe(response);
    },
  );
  let connections = 0;
  server.on("secureConnection", () => connections++);
  server.on("tlsClientError", () => {});
  return {
    port: await listening(server),
    seen,
    connections: () => connections,
  };
}

const pinned: AppRouteOptions = { backendTls: { ca: fixture("app.crt"), serverName: "app.test" } };

test("a dyno whose certificate fits gets requests by TLS, over kept connections", async () => {
  const app = await secureApp();
  const { port } = await rig([app.port], pinned);
  const body = "x".repeat(300_000);
  for (let i = 0; i < 3; i++) {
    const answer = await exchange(
      port,
      `PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer.length).toBeGreaterThan(body.length);
  }
  expect(app.seen).toEqual(["PUT app.test", "PUT app.test", "PUT app.test"]);
  expect(app.connections()).toBe(1);
});

test("an unknown signer, another name and clear text each count as a failed connect", async () => {
  const app = await secureApp();
  for (const backendTls of [
    true,
    { ca: fixture("other.crt"), serverName: "app.test" },
    { ca: fixture("app.crt"), serverName: "elsewhere.test" },
  ] as const) {
    const { port, line } = await rig([app.port], { backendTls });
    expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 503 [\s\S]*X-Router-Error: H21\r\n/);
    expect(await line()).toMatch(/code=H21 .* cause="backend-tls"/);
  }
  expect(app.seen).toEqual([]);
  const { port } = await rig([app.port], { backendTls: { verify: false } });
  expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 200 /);
});

test("the router shows a certificate of its own where the dyno asks for one", async () => {
  const app = await secureApp({ requestCert: true, ca: fixture("other.crt") });
  const ca = fixture("app.crt");
  const own = { cert: fixture("other.crt"), key: fixture("other.key") };
  const { port } = await rig([app.port], { backendTls: { ca, serverName: "app.test", ...own } });
  expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 200 /);
});

test("a key that does not fit is refused, and the message holds no part of it", () => {
  const routes = new RouteTable();
  let message = "";
  try {
    routes.set("app", { backendTls: { cert: fixture("app.crt"), key: fixture("other.key") } });
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toMatch(/"backendTls" is not valid: ERR_OSSL_X509_KEY_VALUES_MISMATCH/);
  expect(routes.get("app")).toBeUndefined();
  routes.close();
});
