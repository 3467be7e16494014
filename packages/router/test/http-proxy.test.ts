import { once } from "node:events";
import { createServer } from "node:http";
import { createHttpProxyForwarder } from "@dynokit/router/http-proxy";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { cannedBackend, exchange, get, OK, RawClient, rawBackend, rig } from "./support/harness.ts";

const forwarder = await createHttpProxyForwarder();

describe("the http-proxy engine", () => {
  test("forwards, sets the router's fields and logs as the native engine does", async () => {
    const backend = await cannedBackend(OK);
    const { port, line } = await rig([backend.port], {}, { forwarder });
    expect(await exchange(port, get("/a?b"))).toMatch(/^HTTP\/1\.1 200 /);
    expect(backend.received[0]).toMatch(/x-forwarded-for: 127\.0\.0\.1\r\n/i);
    expect(backend.received[0]).toMatch(/via: 1\.1 dynokit\r\n/i);
    expect(await line()).toMatch(
      /^at=info method=GET path="\/a\?b" host=app\.test request_id=\S{36} fwd="127\.0\.0\.1" dyno=web\.1 connect=0ms service=\d+ms status=200 bytes=\d+ protocol=http1\.1 tls=false$/,
    );
  });

  test("answers the same H-codes", async () => {
    const dead = await rawBackend((socket) => socket.destroy());
    const { port, line, routes } = await rig([1], {}, { forwarder });
    expect(await exchange(port, get())).toMatch(/x-router-error: H21/i);
    expect(await line()).toMatch(/at=error code=H21 /);
    routes.patch("app", { backends: [{ address: { host: "127.0.0.1", port: dead.port } }] });
    expect(await exchange(port, get())).toMatch(/x-router-error: H13/i);
    expect(await line()).toMatch(/code=H13 /);
    routes.patch("app", { backends: [] });
    expect(await exchange(port, get())).toMatch(/x-router-error: H14/i);
    routes.patch("app", { maintenance: true });
    expect(await exchange(port, get())).toMatch(/x-router-error: H80/i);
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost: no.test\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 404 /,
    );
  });

  test("a client that leaves is H27", async () => {
    const backend = await rawBackend(() => {});
    const { port, line } = await rig([backend.port], {}, { forwarder });
    const client = new RawClient(port).write(get());
    while (!backend.received[0]) await new Promise((resolve) => setImmediate(resolve));
    client.socket.destroy();
    expect(await line()).toMatch(/at=warning code=H27 .* status=499/);
  });

  test("closing cuts what is left at its limit, tunnels apart", async () => {
    const backend = await rawBackend(() => {});
    const { port, line, router } = await rig([backend.port], {}, { forwarder });
    const client = new RawClient(port).write(get());
    await expect.poll(() => backend.received[0]).toBeTruthy();
    const closed = router.close({ drainMs: 1, tunnelDrainMs: 86_400_000 });
    expect(await closed).toEqual({ completed: 0, cut: 1 });
    expect(await line()).toMatch(/^at=error code=H24 .* cause="shutdown"/);
    expect(await client.end()).toBe("");
  });

  test("WebSockets pass", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      sockets.close();
      server.close();
    });
    const { port, line } = await rig(
      [(server.address() as { port: number }).port],
      {},
      { forwarder },
    );
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: "app.test" } });
    await once(client, "open");
    client.send("x");
    expect(String((await once(client, "message"))[0])).toBe("x");
    client.close();
    expect(await line()).toMatch(/at=info .* status=101/);
  });
});
