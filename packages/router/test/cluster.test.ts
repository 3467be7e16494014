import { RouterCluster, RouteTable } from "@dynokit/router";
import { expect, onTestFinished, test } from "vitest";
import { cannedBackend, exchange, get, OK, RawClient, rawBackend } from "./support/harness.ts";

async function clustered(backendPort: number, workers = 2) {
  const routes = new RouteTable();
  routes.set("app", {
    hosts: ["app.test"],
    backends: [{ id: "one", dyno: "web.1", address: { host: "127.0.0.1", port: backendPort } }],
  });
  const lines: string[] = [];
  const router = new RouterCluster({
    routes,
    workers,
    execArgv: ["--import", "tsx"],
    logs: {
      write: (batch) => void lines.push(...batch.lines.map((line) => Buffer.from(line).toString())),
    },
  });
  onTestFinished(async () => {
    await router.close({ drainMs: 0 });
    routes.close();
  });
  const { port } = await router.listen({ host: "127.0.0.1" });
  return { routes, router, port, lines };
}

test("workers share a port, follow the table and write to one log", async () => {
  const backend = await cannedBackend(OK);
  const { routes, router, port, lines } = await clustered(backend.port);
  expect(router.pids).toHaveLength(2);
  for (let i = 0; i < 6; i++) expect(await exchange(port, get(`/${i}`))).toMatch(/hi$/);
  await expect.poll(() => lines.length).toBe(6);
  expect(lines[0]).toMatch(/^at=info method=GET .* dyno=web\.1 .* status=200/);
  routes.patch("app", { maintenance: true });
  await expect.poll(() => exchange(port, get())).toMatch(/X-Router-Error: H80/);
  const text = await router.metrics();
  const total = [
    ...text.matchAll(/router_requests_total\{[^}]*code_class="2xx"[^}]*\} (\d+)/g),
  ].reduce((sum, match) => sum + Number(match[1]), 0);
  expect(total).toBe(6);
  expect(text).toContain("router_table_routes 1\n");
});

test("a drain waits for every worker, and closing leaves no process", async () => {
  const backend = await rawBackend(() => {});
  const { routes, router, port } = await clustered(backend.port);
  const client = new RawClient(port).write(get());
  while (!backend.received[0]?.includes("\r\n\r\n"))
    await new Promise((resolve) => setImmediate(resolve));
  let resolved = false;
  const drained = routes.drain("app", "one", { timeoutMs: 20_000 }).then((result) => {
    resolved = true;
    return result;
  });
  await expect.poll(() => exchange(port, get("/new"))).toMatch(/X-Router-Error: H14/);
  expect(resolved).toBe(false);
  [...backend.sockets][0]?.write(OK);
  await client.until(/hi$/);
  expect(await drained).toEqual({ completed: true });
  const { pids } = router;
  await router.close();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
});

test("a worker that dies is replaced", async () => {
  const backend = await cannedBackend(OK);
  const { router, port } = await clustered(backend.port, 1);
  const [pid] = router.pids;
  process.kill(pid as number, "SIGKILL");
  await expect
    .poll(() => router.pids[0] !== undefined && router.pids[0] !== pid, { timeout: 10_000 })
    .toBe(true);
  await expect.poll(() => exchange(port, get()), { timeout: 10_000 }).toMatch(/hi$/);
});
