// One Node proxy by name in a process of its own, one access log line per request to a file.
import { createWriteStream, openSync, writevSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { connect, createServer as createNetServer } from "node:net";
import { fileURLToPath } from "node:url";

const [name, backendPort, logFile] = process.argv.slice(2);
const require = createRequire(new URL("../../packages/router/package.json", import.meta.url));
const target = `http://127.0.0.1:${backendPort}`;
const ready = (port) => process.send({ port });

function logged(response, request, started) {
  response.on("finish", () =>
    log.write(
      `at=info method=${request.method} path="${request.url}" host=${request.headers.host} fwd="${request.socket.remoteAddress}" service=${Date.now() - started}ms status=${response.statusCode}\n`,
    ),
  );
}

const log = name === "dynokit" ? null : createWriteStream(logFile);
async function ours() {
  const { Router, RouterCluster, RouteTable } = await import(
    fileURLToPath(new URL("../../packages/router/dist/index.js", import.meta.url))
  );
  const routes = new RouteTable();
  routes.set("app", {
    hosts: ["app.test"],
    requestsPerDyno: 100_000,
    backends: [{ address: { host: "127.0.0.1", port: Number(backendPort) } }],
  });
  const file = openSync(logFile, "w");
  const end = Buffer.from("\n");
  const logs = {
    write({ lines }) {
      const pieces = [];
      for (const line of lines) pieces.push(line, end);
      writevSync(file, pieces);
    },
  };
  return { Router, RouterCluster, routes, logs };
}

async function workers(count) {
  const { RouterCluster, routes, logs } = await ours();
  const router = new RouterCluster({ routes, logs, workers: count });
  const { port } = await router.listen({ host: "127.0.0.1" });
  process.send({ port, pids: router.pids });
  process.on("message", () => router.close({ drainMs: 0 }).then(() => process.exit(0)));
}

const makers = {
  async dynokit() {
    const { Router, routes, logs } = await ours();
    const router = new Router({ routes, logs });
    ready((await router.listen({ host: "127.0.0.1" })).port);
    process.on("message", () => {
      globalThis.gc?.();
      process.send({ memory: process.memoryUsage().rss, heap: process.memoryUsage().heapUsed });
    });
  },
  "1 worker": () => workers(1),
  "2 workers": () => workers(2),
  // No HTTP, no log, one connection to the backend for each of a client: what Node's sockets cost
  // any proxy.
  "bare node:net relay"() {
    const server = createNetServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      let dyno = null;
      client.on("error", () => {});
      client.on("data", (chunk) => {
        dyno ??= take(client);
        dyno.write(chunk);
      });
      client.on("end", () => client.destroy());
      client.on("close", () => {
        if (dyno === null) return;
        dyno.client = null;
        if (!dyno.destroyed) idle.push(dyno);
      });
    });
    const idle = [];
    const shared = Buffer.allocUnsafeSlow(65_536);
    const take = (client) => {
      const dyno = idle.pop() ?? open();
      dyno.client = client;
      return dyno;
    };
    const open = () => {
      const dyno = connect({
        port: Number(backendPort),
        host: "127.0.0.1",
        noDelay: true,
        onread: {
          buffer: shared,
          callback: (bytes) => {
            dyno.client?.write(Buffer.from(shared.subarray(0, bytes)));
            return true;
          },
        },
      });
      dyno.on("error", () => {});
      return dyno;
    };
    server.listen(0, "127.0.0.1", () => ready(server.address().port));
  },
  "http-proxy 1.18.1": () => httpProxy("http-proxy-legacy"),
  "http-proxy-3 1.23.3": () => httpProxy("http-proxy"),
  async "@fastify/http-proxy"() {
    const app = require("fastify")({ logger: false });
    app.addHook("onRequest", (request, reply, next) => {
      logged(reply.raw, request.raw, Date.now());
      next();
    });
    app.register(require("@fastify/http-proxy"), { upstream: target, websocket: true });
    await app.listen({ port: 0, host: "127.0.0.1" });
    ready(app.server.address().port);
  },
  "fast-proxy 2.2.0"() {
    const { proxy } = require("fast-proxy")({ base: target });
    const server = createServer((request, response) => {
      logged(response, request, Date.now());
      proxy(request, response, request.url, {});
    });
    server.listen(0, "127.0.0.1", () => ready(server.address().port));
  },
};

function httpProxy(module) {
  const proxy = require(module).createProxyServer({ target, xfwd: true });
  proxy.on("error", (_error, _request, response) => {
    response.writeHead?.(502);
    response.end?.();
  });
  const server = createServer((request, response) => {
    logged(response, request, Date.now());
    proxy.web(request, response);
  });
  server.on("upgrade", (request, socket, head) => proxy.ws(request, socket, head));
  server.listen(0, "127.0.0.1", () => ready(server.address().port));
}

await makers[name]();
