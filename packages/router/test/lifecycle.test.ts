import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type DynoEventLike, Router, RouteTable } from "@dynokit/router";
import { EventEmitter } from "eventemitter3";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  cannedBackend,
  exchange,
  FakeClock,
  get,
  OK,
  RawClient,
  rawBackend,
  rig,
} from "./support/harness.ts";

type Drain = (
  dyno: { app: string; dyno: string; id: string },
  deadline: { timeoutMs: number },
) => Promise<void>;

/** A manifold that runs HTTP servers of this process as dynos, with the real order of a stop. */
class FakeManifold extends EventEmitter<{ dyno: (event: DynoEventLike) => void }> {
  readonly #drains = new Set<Drain>();
  readonly running = new Map<
    string,
    { server: Server; dyno: string; address: { host: string; port: number } }
  >();
  #ids = 0;
  served = 0;

  onDrain(handler: Drain) {
    this.#drains.add(handler);
    return () => void this.#drains.delete(handler);
  }

  ps() {
    return [...this.running].map(([id, { dyno, address }]) => ({
      app: "app",
      dyno,
      id,
      type: "web",
      state: "up",
      address,
    }));
  }

  #say(id: string, dyno: string, to: string, address?: { host: string; port: number }) {
    this.emit("dyno", {
      app: "app",
      dyno,
      id,
      type: "web",
      to,
      at: Date.now(),
      ...(address === undefined ? {} : { address }),
    });
  }

  async start(dyno: string): Promise<string> {
    const id = `${dyno}-${++this.#ids}`;
    this.#say(id, dyno, "starting");
    let stopping = false;
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      // A request that comes after SIGTERM would be lost by a real app.
      if (stopping) request.socket.destroy();
      this.served++;
      request.resume();
      request.on("end", () => setTimeout(() => response.end(id), 2));
    });
    server.on("stopping" as never, () => (stopping = true));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = { host: "127.0.0.1", port: (server.address() as { port: number }).port };
    this.running.set(id, { server, dyno, address });
    this.#say(id, dyno, "up", address);
    return id;
  }

  async stop(id: string): Promise<void> {
    const entry = this.running.get(id);
    if (entry === undefined) return;
    this.#say(id, entry.dyno, "stopping", entry.address);
    await Promise.all(
      [...this.#drains].map((drain) =>
        drain({ app: "app", dyno: entry.dyno, id }, { timeoutMs: 10_000 }),
      ),
    );
    entry.server.emit("stopping");
    entry.server.close();
    entry.server.closeAllConnections();
    this.running.delete(id);
    this.#say(id, entry.dyno, "down");
  }
}

async function followed() {
  const manifold = new FakeManifold();
  const routes = new RouteTable();
  routes.set("app", { hosts: ["app.test"] });
  const lines: string[] = [];
  const router = new Router({
    routes,
    logs: {
      write: (batch) => void lines.push(...batch.lines.map((line) => Buffer.from(line).toString())),
    },
  });
  const { port } = await router.listen({ host: "127.0.0.1" });
  const stop = routes.follow(manifold);
  onTestFinished(async () => {
    stop();
    await router.close({ drainMs: 0 });
    routes.close();
    for (const { server } of manifold.running.values()) {
      server.close();
      server.closeAllConnections();
    }
  });
  return { manifold, routes, router, port, lines, stop };
}

describe("following a manifold", () => {
  test("states of a dyno become answers", async () => {
    const { manifold, routes, port } = await followed();
    const say = (id: string, to: string, extra: object = {}) =>
      manifold.emit("dyno", { app: "app", dyno: "web.1", id, type: "web", to, at: 0, ...extra });
    const code = async () => /X-Router-Error: (H\d+)/.exec(await exchange(port, get()))?.[1];
    expect(await code()).toBe("H14");
    say("a", "starting");
    expect(routes.get("app")?.bootingCount).toBe(1);
    say("a", "crashed");
    expect(await code()).toBe("H10");
    manifold.emit("dyno", {
      app: "app",
      dyno: "worker.1",
      id: "w",
      type: "worker",
      to: "up",
      at: 0,
      address: { host: "127.0.0.1", port: 1 },
    });
    expect(await code()).toBe("H10");
    say("b", "starting");
    expect(routes.record("app")?.backends.map((backend) => backend.id)).toEqual(["b"]);
    say("b", "up", { address: { host: "127.0.0.1", port: 1 } });
    expect(await code()).toBe("H21");
    say("b", "stopping");
    expect(await code()).toBe("H14");
    say("b", "down");
    expect(routes.record("app")?.backends).toEqual([]);
  });

  test("dynos that run already are taken over, and nothing follows after the end", async () => {
    const { manifold, routes, stop } = await followed();
    stop();
    await manifold.start("web.1");
    expect(routes.record("app")?.backends).toEqual([]);
    const end = routes.follow(manifold);
    expect(routes.record("app")?.backends).toMatchObject([{ dyno: "web.1", state: "up" }]);
    end();
    expect(manifold.listenerCount("dyno")).toBe(0);
  });

  test("rolling restarts under constant load fail no request", async () => {
    const { manifold, port, lines } = await followed();
    for (const dyno of ["web.1", "web.2", "web.3"]) await manifold.start(dyno);
    let running = true;
    let answers = 0;
    const failures: string[] = [];
    const worker = async (post: boolean) => {
      const client = new RawClient(port);
      while (running) {
        client.text = "";
        client.write(
          post ? "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello" : get(),
        );
        const text = await client
          .until(/\r\n\r\n[\s\S]*web\.\d-\d+/)
          .catch((error) => String(error));
        if (/^HTTP\/1\.1 200/.test(text)) answers++;
        else {
          failures.push(text.slice(0, 300));
          return;
        }
      }
    };
    const workers = Array.from({ length: 12 }, (_, i) => worker(i % 2 === 0));
    for (let round = 0; round < 17; round++)
      for (const [id, { dyno }] of [...manifold.running]) {
        await manifold.start(dyno);
        await manifold.stop(id);
        const enough = answers + 20;
        while (answers < enough && failures.length === 0)
          await new Promise((resolve) => setImmediate(resolve));
      }
    running = false;
    await Promise.all(workers);
    expect(failures).toEqual([]);
    expect(lines.filter((line) => !line.startsWith("at=info"))).toEqual([]);
    expect(answers).toBeGreaterThan(1000);
  });

  test("a scale-down to one under constant load, half of it on new connections, fails no request", async () => {
    const { manifold, port, lines } = await followed();
    for (const dyno of ["web.1", "web.2", "web.3", "web.4"]) await manifold.start(dyno);
    let running = true;
    let answers = 0;
    const failures: string[] = [];
    const worker = async (fresh: boolean) => {
      let client = new RawClient(port);
      while (running && failures.length === 0) {
        if (fresh) {
          client.socket.destroy();
          client = new RawClient(port);
        }
        client.text = "";
        client.write(get());
        const text = await client.until(/\r\n\r\n[\s\S]*web\.\d-\d+/).catch(String);
        if (/^HTTP\/1\.1 200/.test(text)) answers++;
        else failures.push(text.slice(0, 300));
      }
    };
    const workers = Array.from({ length: 8 }, (_, i) => worker(i % 2 === 0));
    const more = async () => {
      const enough = answers + 50;
      while (answers < enough && failures.length === 0)
        await new Promise((resolve) => setImmediate(resolve));
    };
    await more();
    for (const [id, { dyno }] of [...manifold.running]) {
      if (dyno === "web.1") continue;
      await manifold.stop(id);
      await more();
    }
    running = false;
    await Promise.all(workers);
    expect(failures).toEqual([]);
    expect(manifold.running.size).toBe(1);
    expect(lines.filter((line) => !line.startsWith("at=info"))).toEqual([]);
  });
});

describe("drain", () => {
  test("a draining dyno gets nothing new, finishes what it has, then the drain resolves", async () => {
    const backend = await rawBackend(() => {});
    const { port, routes } = await rig([], {
      backends: [{ id: "one", dyno: "web.1", address: { host: "127.0.0.1", port: backend.port } }],
    });
    const client = new RawClient(port).write(get());
    while (!backend.received[0]?.includes("\r\n\r\n"))
      await new Promise((resolve) => setImmediate(resolve));
    let resolved = false;
    const drained = routes.drain("app", "one", { timeoutMs: 10_000 }).then((result) => {
      resolved = true;
      return result;
    });
    expect(await exchange(port, get("/new"))).toMatch(/X-Router-Error: H14/);
    expect(resolved).toBe(false);
    [...backend.sockets][0]?.write(OK);
    await client.until(/hi$/);
    expect(await drained).toEqual({ completed: true });
  });

  test("the deadline of a drain counts", async () => {
    const clock = new FakeClock();
    const backend = await rawBackend(() => {});
    const { port, routes, router } = await rig(
      [],
      { backends: [{ id: "one", address: { host: "127.0.0.1", port: backend.port } }] },
      { clock },
    );
    new RawClient(port).write(get());
    while (router.inspect().inFlight === 0 || !backend.received[0])
      await new Promise((resolve) => setImmediate(resolve));
    const drained = routes.drain("app", "one", { timeoutMs: 3000 });
    clock.advance(3000);
    expect(await drained).toEqual({ completed: false });
  });

  test("idle connections to a draining dyno close at once", async () => {
    const backend = await cannedBackend(OK);
    const { port, routes } = await rig([], {
      backends: [{ id: "one", address: { host: "127.0.0.1", port: backend.port } }],
    });
    await exchange(port, get());
    expect(backend.sockets.size).toBe(1);
    const socket = [...backend.sockets][0];
    const closed = once(socket as never, "close");
    expect(await routes.drain("app", "one")).toEqual({ completed: true });
    await closed;
  });

  test("WebSockets get Close 1001 between two frames", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    let flooding = true;
    sockets.on("connection", (socket) => {
      const flood = () => {
        if (!flooding || socket.readyState !== socket.OPEN) return;
        socket.send("x".repeat(70_000));
        setImmediate(flood);
      };
      flood();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      flooding = false;
      sockets.close();
      server.close();
      server.closeAllConnections();
    });
    const { port, routes, line } = await rig([], {
      backends: [
        {
          id: "one",
          address: { host: "127.0.0.1", port: (server.address() as { port: number }).port },
        },
      ],
    });
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host: "app.test" } });
    const errors: unknown[] = [];
    client.on("error", (error) => errors.push(error));
    let messages = 0;
    await new Promise<void>((resolve) =>
      client.on("message", (data) => {
        expect((data as Buffer).length).toBe(70_000);
        if (++messages === 5) resolve();
      }),
    );
    const closed = once(client, "close");
    const drained = routes.drain("app", "one");
    const [code] = await closed;
    expect(code).toBe(1001);
    expect(errors).toEqual([]);
    expect(await drained).toEqual({ completed: true });
    await line(/status=101/);
    expect(await line(/close=/)).toMatch(
      /at=info .* status=101 .* upgrade=websocket close=1001 rx=\d+$/,
    );
  });
});

describe("WebSocket tunnels", () => {
  test("messages of every kind and size pass unchanged, and a clean close is no error", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server, perMessageDeflate: true });
    sockets.on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
      socket.on("ping", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      sockets.close();
      server.close();
      server.closeAllConnections();
    });
    const { port, line } = await rig([(server.address() as { port: number }).port]);
    for (const perMessageDeflate of [false, true]) {
      const client = new WebSocket(`ws://127.0.0.1:${port}/`, {
        headers: { host: "app.test" },
        perMessageDeflate,
      });
      await once(client, "open");
      for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
        for (const binary of [false, true]) {
          const data = Buffer.alloc(size, binary ? 0xff : 0x61);
          client.send(data, { binary });
          const [echo, isBinary] = await once(client, "message");
          expect(isBinary).toBe(binary);
          expect(Buffer.compare(echo as Buffer, data)).toBe(0);
        }
      client.ping("p");
      const [pong] = await once(client, "pong");
      expect(String(pong)).toBe("p");
      const closed = once(client, "close");
      client.close(1000);
      await closed;
      await line(/status=101/);
      expect(await line(/rx=/)).toMatch(
        /at=info method=GET .* status=101 .* upgrade=websocket close=1000 rx=\d+$/,
      );
    }
  });

  test("half-close is relayed", async () => {
    const backend = await rawBackend((socket, text, chunk) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
      else socket.write(chunk);
    });
    backend.server.removeAllListeners("connection");
    backend.server.on("connection", (socket) => {
      socket.allowHalfOpen = true;
      backend.sockets.add(socket);
      socket.once("data", () =>
        socket.write("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"),
      );
      socket.on("end", () => socket.end("after your FIN"));
      socket.on("error", () => {});
    });
    const { port } = await rig([backend.port]);
    const client = new RawClient(port).write(get("/", "Connection: upgrade", "Upgrade: raw"));
    await client.until(/\r\n\r\n$/);
    client.socket.end();
    expect(await client.end()).toMatch(/after your FIN$/);
  });

  test("a hundred tunnels reset from either side leave nothing behind", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    });
    const { port, router, lines } = await rig([backend.port]);
    const clients = Array.from({ length: 100 }, () =>
      new RawClient(port).write(get("/", "Connection: upgrade", "Upgrade: websocket")),
    );
    await Promise.all(clients.map((client) => client.until(/101 [\s\S]*\r\n\r\n$/)));
    for (const client of clients.slice(0, 50)) client.socket.resetAndDestroy();
    for (const socket of [...backend.sockets].slice(50)) socket.resetAndDestroy();
    await expect.poll(() => lines.filter((line) => line.includes(" rx=")).length).toBe(100);
    await expect.poll(() => backend.sockets.size).toBe(0);
    await expect.poll(() => router.inspect()).toMatchObject({ inFlight: 0, timers: 0 });
  });

  test("a refused upgrade stays HTTP, and the next request is routed again", async () => {
    const backend = await cannedBackend("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    const { port, routes } = await rig([backend.port]);
    const other = await cannedBackend(OK);
    routes.set("other", {
      hosts: ["other.test"],
      backends: [{ address: { host: "127.0.0.1", port: other.port } }],
    });
    const client = new RawClient(port).write(get("/", "Connection: upgrade", "Upgrade: websocket"));
    await client.until(/no$/);
    client.write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    await client.until(/hi$/);
  });
});

describe("closing the router", () => {
  test("answers in progress finish and say close, idle connections go at once", async () => {
    const backend = await rawBackend(() => {});
    const { port, router } = await rig([backend.port]);
    const idle = new RawClient(port);
    await once(idle.socket, "connect");
    const busy = new RawClient(port).write(get());
    while (!backend.received[0]?.includes("\r\n\r\n"))
      await new Promise((resolve) => setImmediate(resolve));
    const closed = router.close({ drainMs: 10_000 });
    expect(await idle.end()).toBe("");
    [...backend.sockets][0]?.write(OK);
    expect(await busy.until(/hi$/)).toMatch(/\r\nConnection: close\r\n/);
    expect(await closed).toEqual({ completed: 1, cut: 0 });
    await expect(router.listen()).rejects.toMatchObject({ code: "closed" });
    expect(await router.close()).toEqual({ completed: 1, cut: 0 });
  });

  test("what is left at the deadline is cut with H24", async () => {
    const backend = await rawBackend(() => {});
    const { port, router, lines } = await rig([backend.port]);
    const client = new RawClient(port).write(get());
    while (!backend.received[0]) await new Promise((resolve) => setImmediate(resolve));
    expect(await router.close({ drainMs: 20 })).toEqual({ completed: 0, cut: 1 });
    await client.end();
    expect(lines[0]).toMatch(
      /at=error code=H24 desc="Forced close" .* status= .* cause="shutdown" phase=wait$/,
    );
    expect(router.inspect()).toEqual({ inFlight: 0, completed: 1, timers: 0 });
  });

  test("tunnels may go on for longer than requests", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("\r\n\r\n") && text.includes("Upgrade: raw"))
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n",
        );
      if (text.endsWith("ping")) socket.write("pong");
    });
    const { port, router, lines, line } = await rig([backend.port]);
    const upgrade = get("/t", "Connection: upgrade", "Upgrade: raw");
    const tunnel = new RawClient(port).write(upgrade);
    await tunnel.until(/101 Switching[\s\S]*\r\n\r\n/);
    const busy = new RawClient(port).write(get("/slow"));
    while (!backend.received[1]) await new Promise((resolve) => setImmediate(resolve));
    const closed = router.close({ drainMs: 20, tunnelDrainMs: 60_000 });
    await busy.end();
    expect(await line(/path="\/slow"/)).toMatch(/code=H24 .* cause="shutdown" phase=wait$/);
    tunnel.write("ping");
    await tunnel.until(/pong$/);
    tunnel.socket.end();
    expect(await closed).toEqual({ completed: 1, cut: 1 });
    expect(lines.filter((each) => /code=/.test(each))).toHaveLength(1);
  });

  test("a tunnel is cut with H24 at its own deadline", async () => {
    const backend = await cannedBackend(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n",
    );
    const { port, router, line } = await rig([backend.port]);
    const tunnel = new RawClient(port).write(get("/t", "Connection: upgrade", "Upgrade: raw"));
    await tunnel.until(/101 Switching[\s\S]*\r\n\r\n/);
    const closed = router.close({ drainMs: 5, tunnelDrainMs: 20 });
    expect(await line(/code=H24/)).toMatch(/cause="shutdown"/);
    await tunnel.end();
    expect((await closed).completed + (await closed).cut).toBe(1);
    expect(router.inspect()).toMatchObject({ inFlight: 0, timers: 0 });
  });
});
