import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
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

/** A backend that says when a request came and answers nothing by itself. */
async function silentBackend() {
  let reached = () => {};
  const seen = new Promise<void>((resolve) => (reached = resolve));
  const backend = await rawBackend((_socket, text) => {
    if (text.includes("\r\n\r\n")) reached();
  });
  return { ...backend, seen, last: () => [...backend.sockets].at(-1) };
}

/** Resolves once the condition holds; the condition is looked at after each turn of the loop. */
async function when(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe("time limits", () => {
  test("H12 after 30 s without a first byte, and the backend's connection is cut", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line, router } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port).write(get());
    await backend.seen;
    await when(() => router.inspect().timers > 0);
    clock.advance(29_900);
    expect(client.text).toBe("");
    clock.advance(300);
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 503 [\s\S]*X-Router-Error: H12/);
    expect(await line()).toMatch(
      /at=error code=H12 desc="Request timeout" .* dyno=web\.1 connect=0ms service=30\d{3}ms status=503 .* phase=wait$/,
    );
    await when(() => backend.sockets.size === 0);
  });

  test("the first-byte limit follows the app and the path", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line } = await rig(
      [backend.port],
      { timeouts: { firstByteMs: 9000, paths: [{ prefix: "/slow", firstByteMs: 60_000 }] } },
      { clock },
    );
    const slow = new RawClient(port).write(get("/slow/report"));
    const quick = new RawClient(port).write(get("/quick"));
    await when(() => backend.received.filter((text) => text.includes("\r\n\r\n")).length === 2);
    clock.advance(9200);
    expect(await line()).toMatch(/code=H12 .* path="\/quick"/);
    await quick.until(/H12/);
    expect(slow.text).toBe("");
    expect(backend.received[0]).toMatch(/X-Request-Deadline: 17000000(?:60|09)\d{3}/);
    clock.advance(52_000);
    expect(await line()).toMatch(/code=H12 .* path="\/slow\/report"/);
  });

  test("H15 when the dyno falls silent in its answer; each octet restarts the window", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port).write(get());
    await backend.seen;
    backend.last()?.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    await client.until(/abc$/);
    clock.advance(54_000);
    backend.last()?.write("d");
    await client.until(/abcd$/);
    clock.advance(54_000);
    expect(client.ended).toBe(false);
    clock.advance(1500);
    await client.end();
    expect(await line()).toMatch(
      /code=H15 desc="Idle connection" .* status=503 .* sent=200 phase=relay$/,
    );
  });

  test("H28 when the client falls silent in its body", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port).write(
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 9\r\n\r\nabc",
    );
    await when(() => backend.received[0]?.endsWith("abc") === true);
    clock.advance(55_200);
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await line()).toMatch(
      /at=warning code=H28 desc="Client Connection Idle" .* status=499 .* sock=client sent=408 phase=send$/,
    );
  });

  test("H28 when the client reads nothing of its answer for 55 s", async () => {
    const clock = new FakeClock();
    const total = 60_000_000;
    const backend = await cannedBackend(
      `HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n${"x".repeat(total)}`,
    );
    const { port, line, router } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port);
    client.socket.pause();
    client.write(get());
    const dyno = () => [...backend.sockets][0] as Socket;
    // The buffers of the system are full once the backend gets rid of nothing more.
    let left = -1;
    let same = 0;
    await when(() => backend.sockets.size === 1 && dyno().bytesWritten > 0);
    while (same < 50) {
      const now = dyno().writableLength;
      same = now === left ? same + 1 : 0;
      left = now;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(left).toBeGreaterThan(0);
    clock.advance(54_000);
    expect(router.inspect().inFlight).toBe(1);
    clock.advance(1500);
    expect(await line()).toMatch(
      /at=warning code=H28 .* status=499 .* sock=client cause="client does not read" sent=200 phase=relay$/,
    );
    expect(router.inspect()).toMatchObject({ inFlight: 0, timers: 0 });
    await when(() => backend.sockets.size === 0);
  });

  test("408 for a head that is not complete after 10 s, whatever the progress", async () => {
    const clock = new FakeClock();
    const { port, line, router } = await rig([], {}, { clock });
    const client = new RawClient(port).write("GET / HT");
    await when(() => router.inspect().timers > 0);
    await new Promise((resolve) => client.socket.write("", resolve));
    for (let i = 0; i < 9; i++) {
      clock.advance(1000);
      client.write("X");
      await new Promise((resolve) => setImmediate(resolve));
    }
    clock.advance(60_000);
    expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await line()).toMatch(
      /at=error code=H26 desc="Request Error" method= path="" host= .* status=408 .* cause="timeout"/,
    );
  });

  test("an ACME challenge is waited for 5 s, then the app is asked", async () => {
    const clock = new FakeClock();
    const backend = await cannedBackend(OK);
    let asked = 0;
    const { port, router } = await rig(
      [backend.port],
      {},
      {
        clock,
        acmeChallenge: (token) => {
          asked++;
          if (token === "broken") return Promise.reject(new Error("no store"));
          return token === "soon" ? Promise.resolve("soon.key") : new Promise(() => {});
        },
      },
    );
    const challenge = (token: string) => get(`/.well-known/acme-challenge/${token}`);
    expect(await exchange(port, challenge("soon"))).toMatch(/soon\.key$/);
    expect(await exchange(port, challenge("broken"))).toMatch(/X-Router-Error: H99/);
    const client = new RawClient(port).write(challenge("never"));
    while (asked < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(client.text).toBe("");
    clock.advance(6000);
    await client.until(/hi$/);
    const gone = new RawClient(port).write(challenge("never"));
    while (asked < 4) await new Promise((resolve) => setImmediate(resolve));
    gone.socket.resetAndDestroy();
    await expect.poll(() => router.inspect().inFlight).toBe(0);
    expect(backend.received.join("").match(/GET/g)).toHaveLength(1);
  });

  test("an idle connection is closed after 60 s without an answer", async () => {
    const clock = new FakeClock();
    const backend = await cannedBackend(OK);
    const { port, lines, router } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port);
    await when(() => router.inspect().timers > 0);
    clock.advance(60_200);
    expect(await client.end()).toBe("");
    expect(lines).toEqual([]);
  });

  test("H15 for a tunnel without octets, none for a limit of 0", async () => {
    const clock = new FakeClock();
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
    });
    const { port, line, routes } = await rig([backend.port], {}, { clock });
    const client = new RawClient(port).write(get("/", "Connection: upgrade", "Upgrade: raw"));
    await client.until(/101 [\s\S]*\r\n\r\n$/);
    await line();
    clock.advance(55_200);
    await client.end();
    expect(await line()).toMatch(
      /code=H15 .* status=503 .* sent=101 phase=relay upgrade=raw rx=0$/,
    );
    routes.patch("app", { timeouts: { tunnelIdleMs: 0 } });
    const other = new RawClient(port).write(get("/", "Connection: upgrade", "Upgrade: raw"));
    await other.until(/101 [\s\S]*\r\n\r\n$/);
    clock.advance(3_600_000);
    expect(other.ended).toBe(false);
  });

  test("H19 when a connect hangs", async () => {
    const clock = new FakeClock();
    let opened = 0;
    const connect = () => {
      opened++;
      return new Socket();
    };
    const { port, line } = await rig([1], {}, { clock, connect });
    const client = new RawClient(port).write(get());
    await when(() => opened === 1);
    clock.advance(5200);
    await client.until(/X-Router-Error: H19/);
    expect(await line()).toMatch(
      /code=H19 desc="Backend connection timeout" .* dyno=web\.1 connect= service= status=503 .* phase=connect$/,
    );
  });

  test("H34 when every dyno hangs until the budget for connects is spent", async () => {
    const clock = new FakeClock();
    let opened = 0;
    const connect = () => {
      opened++;
      return new Socket();
    };
    const { port, line, router } = await rig(
      [1],
      { timeouts: { connectTotalMs: 4000 } },
      { clock, connect },
    );
    new RawClient(port).write(get("/first"));
    await when(() => opened === 1);
    clock.advance(4200);
    expect(await line()).toMatch(/code=H19/);
    new RawClient(port).write(get("/second"));
    await when(() => router.inspect().inFlight === 1);
    clock.advance(4200);
    expect(await line()).toMatch(/code=H34 desc="All dynos quarantined" .* path="\/second"/);
  });

  test("H99 when this machine has no sockets left, and no dyno is blamed", async () => {
    const connect = () => {
      const socket = new Socket();
      setImmediate(() => socket.destroy(Object.assign(new Error("no files"), { code: "EMFILE" })));
      return socket;
    };
    const { port, line, routes } = await rig([1], {}, { connect });
    await exchange(port, get());
    expect(await line()).toMatch(/code=H99 desc="Platform error" .* cause="no-sockets"/);
    expect(routes.get("app")?.up[0]?.quarantinedUntil).toBe(0);
  });

  test("H20 after 75 s of booting; a dyno that comes up in time is used", async () => {
    const clock = new FakeClock();
    const backend = await cannedBackend(OK);
    const { port, line, routes, router } = await rig(
      [],
      {
        backends: [
          {
            id: "one",
            dyno: "web.1",
            state: "booting",
            address: { host: "127.0.0.1", port: backend.port },
          },
        ],
      },
      { clock },
    );
    const first = new RawClient(port).write(get("/1"));
    await when(() => router.inspect().inFlight === 1);
    clock.advance(75_200);
    await first.until(/X-Router-Error: H20/);
    expect(await line()).toMatch(
      /code=H20 desc="App boot timeout" .* dyno= connect= service= status=503 .* phase=queue queue=75\d{3}ms$/,
    );
    const second = new RawClient(port).write(get("/2"));
    await when(() => router.inspect().inFlight === 1);
    clock.advance(30_000);
    routes.setBackend("app", { id: "one", dyno: "web.1", state: "up" });
    await second.until(/hi$/);
    expect(await line()).toMatch(/at=info .* path="\/2" .* status=200 .* queue=30\d{3}ms$/);
    expect(backend.received[0]).toMatch(/X-Queue-Time: 30\d{3}\r\n/);
  });

  test("H11 when the queue is full or the wait too long; a freed place is used in order", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line, router } = await rig([backend.port], { concurrency: 1 }, { clock });
    const clients = [];
    for (const path of ["/1", "/2", "/3"]) {
      clients.push(new RawClient(port).write(get(path)));
      await when(() => router.inspect().inFlight === clients.length);
    }
    expect(await exchange(port, get("/4"))).toMatch(/X-Router-Error: H11\r\nRetry-After: 1\r\n/);
    expect(await line()).toMatch(
      /code=H11 desc="Backlog too deep" .* path="\/4" .* cause="queue-full"/,
    );
    await backend.seen;
    backend.last()?.write(OK);
    await clients[0]?.until(/hi$/);
    await line(/path="\/1"/);
    await when(() => (backend.received.join("").match(/GET/g) ?? []).length === 2);
    expect(backend.received.join("")).toMatch(/GET \/2 /);
    clock.advance(10_200);
    expect(await line()).toMatch(
      /code=H11 .* path="\/3" .* cause="queue-timeout" phase=queue queue=10\d{3}ms/,
    );
  });

  test("H11 above 200 requests per dyno", async () => {
    const backend = await silentBackend();
    const { port, line } = await rig([backend.port], { requestsPerDyno: 2 });
    new RawClient(port).write(get("/1"));
    new RawClient(port).write(get("/2"));
    await when(() => (backend.received.join("").match(/GET/g) ?? []).length === 2);
    await exchange(port, get("/3"));
    expect(await line()).toMatch(/code=H11 .* path="\/3" .* cause="backlog"/);
  });

  test("wake asks for a dyno once and waits for it", async () => {
    const backend = await cannedBackend(OK);
    const { port, routes, router } = await rig([], {
      backends: [
        { id: "one", state: "sleeping", address: { host: "127.0.0.1", port: backend.port } },
      ],
      wake: true,
    });
    const a = new RawClient(port).write(get());
    const b = new RawClient(port).write(get());
    await when(() => router.inspect().inFlight === 2);
    routes.setBackend("app", { id: "one", state: "up" });
    await Promise.all([a.until(/hi$/), b.until(/hi$/)]);
  });
});

describe("faults of a backend", () => {
  for (const [name, code, answer, expected] of [
    [
      "garbage",
      "H17",
      "\x00\x01garbage\r\n\r\n",
      /code=H17 desc="Poorly formatted HTTP response" .* cause="status line" phase=wait/,
    ],
    [
      "a broken length",
      "H25",
      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
      /code=H25 desc="HTTP restriction: invalid content length" .* status=502/,
    ],
    [
      "an oversized cookie",
      "H25",
      `HTTP/1.1 200 OK\r\nSet-Cookie: ${"x".repeat(9000)}\r\n\r\n`,
      /code=H25 desc="HTTP restriction: oversized cookies"/,
    ],
    [
      "an oversized status line",
      "H25",
      `HTTP/1.1 200 ${"x".repeat(9000)}\r\n\r\n`,
      /code=H25 desc="HTTP restriction: oversized status line"/,
    ],
  ] as const)
    test(`${name} is ${code}`, async () => {
      const backend = await cannedBackend(answer);
      const { port, line } = await rig([backend.port]);
      await exchange(port, get());
      expect(await line()).toMatch(expected);
    });

  for (const [phase, octets, expected] of [
    ["before an octet", "", /code=H13 .* cause="reset"/],
    ["in the head", "HTTP/1.1 200 OK\r\nX", /code=H17 .* cause="truncated head"/],
    [
      "in the body",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
      /code=H18 .* cause="reset" sent=200/,
    ],
    [
      "in a chunk",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
      /code=H18 .* cause="reset" sent=200/,
    ],
    [
      "in a body that ends with the connection",
      "HTTP/1.1 200 OK\r\n\r\nab",
      /code=H18 .* cause="reset" sent=200/,
    ],
  ] as const)
    test(`a reset ${phase}`, async () => {
      const backend = await rawBackend((socket) => {
        if (octets === "") socket.resetAndDestroy();
        else
          socket.write(octets, () =>
            setImmediate(() => setImmediate(() => socket.resetAndDestroy())),
          );
      });
      const { port, line } = await rig([backend.port]);
      const client = new RawClient(port).write(get());
      const text = await line();
      expect(text).toMatch(expected);
      if (text.includes("sent=200")) await client.end();
      expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/);
    });

  test("an early answer reaches a client that is still uploading", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.includes("\r\n\r\n"))
        socket.end("HTTP/1.1 413 Too Big\r\nContent-Length: 3\r\n\r\nbig");
    });
    const { port, line } = await rig([backend.port]);
    for (let i = 0; i < 20; i++) {
      const client = new RawClient(port).write(
        "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\n",
      );
      client.write(Buffer.alloc(200_000));
      const text = await client.until(/big$/);
      expect(text).toMatch(/^HTTP\/1\.1 413 Too Big\r\n[\s\S]*Connection: close\r\n/);
      await client.end();
      expect(await line()).toMatch(/at=info .* status=413/);
    }
  });

  test("octets after an answer destroy the connection and are counted", async () => {
    const backend = await rawBackend((socket) =>
      socket.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`),
    );
    const { port, router } = await rig([backend.port]);
    for (let i = 0; i < 3; i++) expect(await exchange(port, get())).toMatch(/hi$/);
    expect(backend.received).toHaveLength(3);
    expect(router.metrics()).toMatch(/router_backend_desync_total\{app="app"\} 3/);
  });
});

describe("retries", () => {
  test("a refused connect is retried on another dyno, any method, and logged", async () => {
    const backend = await cannedBackend(OK);
    const { port, line } = await rig([1, backend.port], { balance: "round-robin" });
    expect(
      await exchange(port, "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\r\nab"),
    ).toMatch(/hi$/);
    expect(await line()).toMatch(
      /at=info .* dyno=web\.2 .* status=200 .* attempts=2 tried=web\.1:refused$/,
    );
    expect(backend.received[0]).toMatch(/ab$/);
  });

  test("a reused connection that closes before an answer is replaced by a fresh one for GET, not for POST", async () => {
    const closing = await rawBackend((socket, text) => {
      const requests = (text.match(/ HTTP\/1\.1\r\n/g) ?? []).length;
      if (requests === 1) socket.write(OK);
      else socket.destroy();
    });
    const { port, line } = await rig([closing.port], { unsafeReuse: "any" });
    await exchange(port, get("/1"));
    expect(await exchange(port, get("/2"))).toMatch(/hi$/);
    await line();
    expect(await line()).toMatch(
      /path="\/2" .* status=200 .* attempts=2 tried=web\.1:(?:closed|reset)/,
    );
    await exchange(port, "POST /3 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n");
    expect(await line()).toMatch(/code=H13 .* path="\/3"/);
  });

  test("a timeout is never retried", async () => {
    const clock = new FakeClock();
    const backend = await silentBackend();
    const { port, line } = await rig(
      [backend.port, backend.port],
      {
        backends: [
          { id: "a", address: { host: "127.0.0.1", port: backend.port } },
          { id: "b", address: { host: "127.0.0.1", port: backend.port } },
        ],
      },
      { clock },
    );
    new RawClient(port).write(get());
    await backend.seen;
    clock.advance(30_200);
    expect(await line()).toMatch(/code=H12/);
    expect(backend.received).toHaveLength(1);
  });

  test("five failures in a row take a dyno out, but never the last good half", async () => {
    const bad = await rawBackend((socket) => socket.destroy());
    const good = await cannedBackend(OK);
    const { port, routes, lines } = await rig([bad.port, good.port], { balance: "round-robin" });
    const events: string[] = [];
    routes.on("route", (event) => event.type === "ejected" && events.push(event.dyno));
    for (let i = 0; i < 16; i++) await exchange(port, get());
    await expect.poll(() => lines.length).toBe(16);
    expect(lines.filter((line) => line.includes("code=H13"))).toHaveLength(5);
    expect(events).toEqual(["web.1"]);
  });
});

describe("clients that leave", () => {
  test("H27 before the answer, and the backend's connection is cut", async () => {
    const backend = await silentBackend();
    const { port, line } = await rig([backend.port]);
    const client = new RawClient(port).write(get());
    await backend.seen;
    client.socket.destroy();
    expect(await line()).toMatch(
      /at=warning code=H27 desc="Client Request Interrupted" .* status=499 bytes=0 .* sock=client phase=wait$/,
    );
    await when(() => backend.sockets.size === 0);
  });

  test("H27 in the answer", async () => {
    const backend = await rawBackend((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    );
    const { port, line } = await rig([backend.port]);
    const client = new RawClient(port).write(get());
    await client.until(/abc$/);
    client.socket.resetAndDestroy();
    expect(await line()).toMatch(/code=H27 .* status=499 .* sent=200 phase=relay/);
    await when(() => backend.sockets.size === 0);
  });

  test("a thousand aborted uploads leave no socket and no timer", async () => {
    const backend = await rawBackend(() => {});
    const { port, router, lines } = await rig([backend.port]);
    for (let round = 0; round < 20; round++) {
      const clients = Array.from({ length: 50 }, () =>
        new RawClient(port).write(
          `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\n${"x".repeat(1000)}`,
        ),
      );
      await when(
        () =>
          lines.length === round * 50 &&
          backend.received.filter((text) => text.includes("xxx")).length >= (round + 1) * 50,
      );
      for (const [i, client] of clients.entries())
        i % 2 === 0 ? client.socket.destroy() : client.socket.resetAndDestroy();
      await when(() => lines.length === (round + 1) * 50);
    }
    expect(lines.every((line) => line.includes("code=H27"))).toBe(true);
    await when(() => backend.sockets.size === 0);
    await when(() => router.inspect().inFlight === 0 && router.inspect().timers === 0);
  });
});

describe("bodies and back-pressure", () => {
  test("a slow reader stops the backend instead of filling memory", async () => {
    const total = 60_000_000;
    let sent = 0;
    const backend = await rawBackend((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      const piece = Buffer.alloc(65_536, 120);
      const more = () => {
        while (sent < total) {
          const size = Math.min(piece.length, total - sent);
          sent += size;
          if (!socket.write(piece.subarray(0, size))) return;
        }
      };
      socket.on("drain", more);
      more();
    });
    const { port } = await rig([backend.port]);
    const client = new RawClient(port);
    client.socket.pause();
    client.write(get());
    let last = -1;
    while (sent !== last) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(30_000_000);
    let bytes = 0;
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk) => (bytes += chunk.length));
    client.socket.resume();
    await when(() => bytes > total);
  });

  test("a slow backend stops the client", async () => {
    const total = 40_000_000;
    const backend = await rawBackend(
      () => {},
      (socket) => socket.pause(),
    );
    const { port } = await rig([backend.port]);
    const client = new RawClient(port).write(
      `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${total}\r\n\r\n`,
    );
    client.write(Buffer.alloc(total));
    await when(() => backend.sockets.size === 1);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    const got = () => [...backend.sockets].reduce((sum, socket) => sum + socket.bytesRead, 0);
    for (const socket of backend.sockets) socket.resume();
    await when(() => got() > total);
  });

  test("a body over the app's limit gets 413, before connecting when the length says so", async () => {
    const backend = await silentBackend();
    const { port, line } = await rig([backend.port], { maxBodyBytes: 10 });
    expect(
      await exchange(
        port,
        `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 11\r\n\r\n${"x".repeat(11)}`,
      ),
    ).toMatch(/^HTTP\/1\.1 413 /);
    expect(await line()).toMatch(/at=info method=POST .* status=413 .* cause="body-too-large"/);
    expect(backend.received).toEqual([]);
    expect(
      await exchange(
        port,
        `POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n${"x".repeat(11)}\r\n`,
      ),
    ).toMatch(/^HTTP\/1\.1 413 /);
  });
});
