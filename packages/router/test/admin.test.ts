import diagnostics from "node:diagnostics_channel";
import { expect, test } from "vitest";
import { cannedBackend, exchange, get, OK, RawClient, rawBackend, rig } from "./support/harness.ts";

test("the admin listener shows health, readiness, metrics, table and requests", async () => {
  const backend = await cannedBackend(OK);
  const { router, port, line } = await rig([backend.port]);
  const admin = await router.listenAdmin();
  const read = async (path: string) => {
    const response = await fetch(`http://${admin.host}:${admin.port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  expect(await read("/healthz")).toEqual({ status: 200, text: "ok\n" });
  expect(await read("/readyz")).toEqual({ status: 200, text: "ready\n" });
  const id = "a".repeat(24);
  await exchange(port, get("/secret?x", `X-Request-Id: ${id}`));
  await exchange(port, "GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
  await line();
  const { text } = await read("/metrics");
  expect(text).toContain(
    'router_requests_total{app="app",code_class="2xx",method_class="GET",protocol="http1.1"} 1\n',
  );
  expect(text).toContain(
    'router_requests_total{app="",code_class="4xx",method_class="GET",protocol="http1.1"} 1\n',
  );
  expect(text).toMatch(
    /router_request_duration_seconds_bucket\{app="app",phase="total",le="0\.001"\} \d/,
  );
  expect(text).toMatch(/router_backend_connections\{app="app",state="idle"\} 1\n/);
  expect(text).not.toMatch(/secret|no\.test/);
  for (const row of text.trim().split("\n"))
    expect(row).toMatch(/^(# TYPE \w+ \w+|\w+(\{([a-z_]+="[^"]*",?)*\})? [0-9.e+-]+|.*NaN)$/);
  const trace = JSON.parse((await read(`/requests/${id}`)).text);
  expect(trace).toMatchObject({
    requestId: id,
    app: "app",
    status: 200,
    attempts: [{ dyno: "web.1", outcome: "200" }],
  });
  expect((await read("/requests/nothing")).status).toBe(404);
  expect(JSON.parse((await read("/table")).text).apps[0]).toMatchObject({
    app: "app",
    backends: [{ dyno: "web.1", state: "up" }],
  });
});

test("requests in flight are listed with phase and age", async () => {
  let reached = () => {};
  const seen = new Promise<void>((resolve) => (reached = resolve));
  const backend = await rawBackend(() => reached());
  const { router, port } = await rig([backend.port]);
  const admin = await router.listenAdmin();
  const client = new RawClient(port).write(get());
  await seen;
  const list = await (await fetch(`http://127.0.0.1:${admin.port}/requests?app=app`)).json();
  expect(list).toMatchObject([{ app: "app", dyno: "web.1", phase: "wait" }]);
  client.socket.destroy();
});

test("the end of a request is published on a diagnostics channel", async () => {
  const backend = await cannedBackend(OK);
  const { port, line } = await rig([backend.port]);
  const events: unknown[] = [];
  const listener = (message: unknown) => events.push(message);
  diagnostics.subscribe("dynokit:router:request:end", listener);
  await exchange(port, get("/d"));
  await line();
  diagnostics.unsubscribe("dynokit:router:request:end", listener);
  expect(events).toMatchObject([
    { app: "app", method: "GET", path: "/d", status: 200, dyno: "web.1", phase: "relay" },
  ]);
});
