import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as tlsConnect } from "node:tls";
import {
  CertificateStore,
  RouterCluster,
  type RouterClusterOptions,
  RouteTable,
} from "@dynokit/router";
import { expect, onTestFinished, test } from "vitest";
import { cannedBackend, exchange, get, OK, RawClient, rawBackend } from "./support/harness.ts";

async function clustered(
  backendPort: number,
  workers = 2,
  options: Partial<RouterClusterOptions> = {},
) {
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
    ...options,
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

test("the primary process answers challenges of certificate authorities for its workers", async () => {
  const backend = await cannedBackend(OK);
  const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));
  const pair = (name: string) => ({ cert: fixture(`${name}.crt`), key: fixture(`${name}.key`) });
  const asked: string[] = [];
  const { router, port } = await clustered(backend.port, 2, {
    acmeChallenge: async (token, hostname) => {
      asked.push(`${token} ${hostname}`);
      if (token === "broken") throw new Error("no store");
      return token === "t1" ? "t1.key" : undefined;
    },
    acmeTlsChallenge: (hostname) => (hostname === "new.test" ? pair("other") : undefined),
  });
  const challenge = (token: string) => exchange(port, get(`/.well-known/acme-challenge/${token}`));
  // Connections go to the workers in turn.
  for (let i = 0; i < 4; i++) expect(await challenge("t1")).toMatch(/^HTTP\/1\.1 200 .*t1\.key$/s);
  // What nobody knows is the app's own matter.
  expect(await challenge("t2")).toMatch(/hi$/);
  expect(await challenge("broken")).toMatch(/hi$/);
  expect(asked).toEqual([
    ...Array.from({ length: 4 }, () => "t1 app.test"),
    "t2 app.test",
    "broken app.test",
  ]);
  const certificates = new CertificateStore();
  const { cert, key } = pair("app");
  certificates.put("app", { cert: cert.toString(), key: key.toString() });
  const secure = await router.listen({ host: "127.0.0.1", tls: { certificates } });
  const shown = async (servername: string, protocol: string) => {
    const options = { host: "127.0.0.1", rejectUnauthorized: false, servername };
    const socket = tlsConnect({ ...options, port: secure.port, ALPNProtocols: [protocol] });
    await once(socket, "secureConnect");
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };
  for (let i = 0; i < 2; i++) expect(await shown("new.test", "acme-tls/1")).toBe("other.test");
  expect(await shown("app.test", "http/1.1")).toBe("app.test");
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

/** Makes every connect of a worker throw. */
const NO_CONNECT = `data:text/javascript,${encodeURIComponent(
  'import net from "node:net"; import { syncBuiltinESMExports } from "node:module";' +
    'net.connect = () => { throw new Error("no way out"); }; syncBuiltinESMExports();',
)}`;

test("an exception in a worker and one in a hook reach onError of the primary process", async () => {
  const errors: unknown[] = [];
  const { port } = await clustered(1, 1, {
    execArgv: ["--import", "tsx", "--import", NO_CONNECT],
    onError: (error) => errors.push(error),
    acmeChallenge: () => {
      throw new Error("no challenge");
    },
  });
  expect(await exchange(port, get())).toMatch(/X-Router-Error: H99/);
  await expect.poll(() => errors.length).toBe(1);
  expect(errors[0]).toMatchObject({ message: "no way out" });
  expect((errors[0] as Error).stack).toContain("forward");
  await exchange(port, get("/.well-known/acme-challenge/token"));
  await expect
    .poll(() => errors.map((error) => (error as Error).message))
    .toContain("no challenge");
});

test("waitMs: workers go on serving for that long before they close", async () => {
  const backend = await cannedBackend(OK);
  const { router, port } = await clustered(backend.port);
  const closed = router.close({ drainMs: 1000, waitMs: 3000 });
  expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 200 /);
  expect(await closed).toEqual({ completed: 0, cut: 0 });
});
