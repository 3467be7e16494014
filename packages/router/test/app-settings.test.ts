import { once } from "node:events";
import type { connect } from "node:net";
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

async function when(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

const address = (port: number) => ({ host: "127.0.0.1", port });

describe("early answers", () => {
  test("an app that answers 413 and closes during an upload is heard, every time", async () => {
    const backend = await rawBackend((socket, text) => {
      if (!text.includes("\r\n\r\n")) return;
      socket.end("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig");
      // Unread octets make this a reset.
      setImmediate(() => socket.destroy());
    });
    const { port } = await rig([backend.port]);
    for (let i = 0; i < 40; i++) {
      const client = new RawClient(port).write(
        "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10000000\r\n\r\n",
      );
      for (let k = 0; k < 8; k++) client.write(Buffer.alloc(16_384, 120));
      expect(await client.until(/big$/)).toMatch(
        /^HTTP\/1\.1 413 Payload Too Large\r\n[\s\S]*Connection: close\r\n/,
      );
      client.socket.destroy();
    }
  });

  test("a backend that closes during an upload without an answer is H13", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.includes("\r\n\r\n")) socket.destroy();
    });
    const { port, line } = await rig([backend.port]);
    const client = new RawClient(port).write(
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10000000\r\n\r\n",
    );
    for (let k = 0; k < 8; k++) client.write(Buffer.alloc(16_384, 120));
    await client.until(/X-Router-Error: H13/);
    expect(await line()).toMatch(/code=H13/);
  });

  test("an answer that ends with the connection and is cut ends in a reset, not in order", async () => {
    const backend = await rawBackend((socket, text) => {
      if (!text.includes("\r\n\r\n")) return;
      socket.write("HTTP/1.1 200 OK\r\n\r\nhalf");
    });
    const { port, line } = await rig([backend.port]);
    const client = new RawClient(port).write(get());
    await client.until(/half$/);
    const failed = once(client.socket, "error");
    for (const socket of backend.sockets) socket.resetAndDestroy();
    const [error] = await failed;
    expect(error.code).toBe("ECONNRESET");
    expect(await line()).toMatch(/code=H18 .* status=503 .* sock=backend .* sent=200 /);
  });
});

describe("settings of one app", () => {
  test("strict: report holds for its app alone", async () => {
    const backend = await cannedBackend(OK);
    const { port, routes, line, router } = await rig([backend.port], { strict: "report" });
    routes.set("other", { hosts: ["other.test"], backends: [{ address: address(backend.port) }] });
    const soft = (host: string) =>
      [
        `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
        `GET  / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
        `GET /\xe9 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${host}\r\nX: a\r\n b\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0, 0\r\n\r\n`,
      ] as const;
    for (const octets of soft("app.test")) {
      expect(await exchange(port, octets), octets).toMatch(/^HTTP\/1\.1 200/);
      expect(await line()).toMatch(/^at=info .* lint=[a-z-]+$/);
    }
    for (const host of ["other.test", "unknown.test"])
      for (const octets of soft(host)) {
        expect(await exchange(port, octets), octets).toMatch(/^HTTP\/1\.1 400/);
        expect(await line()).toMatch(/code=H26 (?!.*lint=)/);
      }
    routes.patch("app", { strict: "enforce" });
    for (const octets of soft("app.test"))
      expect(await exchange(port, octets), octets).toMatch(/^HTTP\/1\.1 400/);
    expect(router.metrics()).toMatch(/router_lint_total\{app="app",rule="obs-fold"\} 1/);
  });

  test("tracing continues a valid trace with a span of its own and begins one otherwise", async () => {
    const backend = await cannedBackend(OK);
    const { port, line } = await rig(
      [backend.port],
      { tracing: "w3c", keepAlive: false },
      { log: { traceIds: true } },
    );
    const trace = "0af7651916cd43dd8448eb211c80319c";
    await exchange(
      port,
      get("/", `traceparent: 00-${trace}-b7ad6b7169203331-01`, "tracestate: a=1"),
    );
    expect(backend.received[0]).toMatch(
      new RegExp(`\\r\\ntraceparent: 00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01\\r\\n`),
    );
    expect(backend.received[0]).toMatch(/\r\ntracestate: a=1\r\n/);
    expect(backend.received[0]?.match(/traceparent/g)).toHaveLength(1);
    expect(await line()).toMatch(new RegExp(` trace_id=${trace}$`));
    await exchange(port, get("/", `traceparent: 00-${"0".repeat(32)}-x-01`, "tracestate: a=1"));
    expect(backend.received[1]).toMatch(/\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n/);
    expect(backend.received[1]).not.toMatch(/tracestate/);
  });

  test("bufferRequestBytes: a slow upload takes no dyno before it is complete", async () => {
    const clock = new FakeClock();
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("0123456789")) socket.write(OK);
    });
    const { port, line } = await rig([backend.port], { bufferRequestBytes: 1000 }, { clock });
    const client = new RawClient(port).write(
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\n01234",
    );
    const big = new RawClient(port).write(
      `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2000\r\n\r\n${"y".repeat(1500)}`,
    );
    await when(() => backend.received.some((text) => text.includes("yyy")));
    expect(backend.received).toHaveLength(1);
    client.write("56789");
    await client.until(/hi$/);
    big.socket.destroy();
    const silent = new RawClient(port).write(
      "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    );
    await exchange(port, "GET / HTTP/1.1\r\nHost: none.test\r\n\r\n");
    clock.advance(55_200);
    await silent.until(/^HTTP\/1\.1 408 /);
    expect(await line(/H28/)).toMatch(/dyno= connect= service= status=499 .* sent=408/);
  });

  test("maxDurationMs ends an exchange whatever it does", async () => {
    const clock = new FakeClock();
    const backend = await rawBackend((socket, text) => {
      if (text.includes("/stream")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na");
    });
    const { port, line } = await rig(
      [backend.port],
      { timeouts: { maxDurationMs: 5000 } },
      { clock },
    );
    const client = new RawClient(port).write(get("/stream"));
    await client.until(/a$/);
    const silent = new RawClient(port).write(get("/silent"));
    await when(() => backend.received.length === 2 && /silent/.test(backend.received[1] as string));
    clock.advance(5300);
    await silent.until(/^HTTP\/1\.1 503 [\s\S]*H12/);
    await client.end();
    expect([await line(), await line()].sort()).toEqual([
      expect.stringMatching(/code=H12 .*cause="max-duration"/),
      expect.stringMatching(/code=H15 .*cause="max-duration" sent=200/),
    ]);
  });

  test("maxClientConnections of an app and of a listener: H22", async () => {
    const backend = await cannedBackend(OK);
    const { port, routes, line } = await rig(
      [backend.port],
      { maxClientConnections: 2 },
      { limits: { maxClientConnections: 3 } },
    );
    routes.set("other", { hosts: ["other.test"], backends: [{ address: address(backend.port) }] });
    const clients = [new RawClient(port), new RawClient(port)];
    for (const client of clients) {
      client.write(get());
      await client.until(/hi$/);
      await line();
    }
    const third = new RawClient(port).write(get());
    await third.until(/^HTTP\/1\.1 503 [\s\S]*X-Router-Error: H22/);
    expect(await line()).toMatch(/code=H22 desc="Connection limit reached" .*cause="app"/);
    third.write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    await third.until(/hi$/);
    await line();
    const fourth = new RawClient(port).write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    expect(await fourth.end()).toMatch(/^HTTP\/1\.1 503 [\s\S]*Connection: close/);
    expect(await line()).toMatch(/code=H22 .*cause="listener"/);
    clients[0]?.socket.destroy();
    fourth.socket.destroy();
    await when(() => routes.get("app")?.clientConnections === 1);
  });
});

describe("sessions that are bound to a dyno", () => {
  test("a full dyno is waited for a moment, then another one serves", async () => {
    const clock = new FakeClock();
    const held: (() => void)[] = [];
    const named = (name: string) =>
      rawBackend((socket, text) => {
        const answer = () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${name}`);
        if (/GET \/hold .*\r\n\r\n$/s.test(text)) held.push(answer);
        else answer();
      });
    const [one, two] = [await named("one"), await named("two")];
    const { port, line } = await rig(
      [one.port, two.port],
      { affinity: { waitMs: 200 }, balance: "round-robin", concurrency: 1, keepAlive: false },
      { clock },
    );
    const cookie = /affinity=[^;]+/.exec(await exchange(port, get()))?.[0] as string;
    new RawClient(port).write(get("/hold", `Cookie: ${cookie}`));
    await when(() => held.length === 1);
    const waits = new RawClient(port).write(get("/", `Cookie: ${cookie}`));
    await when(() => [...one.received, ...two.received].length === 2);
    const moves = new RawClient(port).write(get("/moves", `Cookie: ${cookie}`));
    await exchange(port, "GET / HTTP/1.1\r\nHost: none.test\r\n\r\n");
    held[0]?.();
    expect(await waits.until(/one$|two$/)).toMatch(/one$/);
    await moves.until(/one$/);
    new RawClient(port).write(get("/hold", `Cookie: ${cookie}`));
    await when(() => held.length === 2);
    const late = new RawClient(port).write(get("/late", `Cookie: ${cookie}`));
    await exchange(port, "GET / HTTP/1.1\r\nHost: none.test\r\n\r\n");
    clock.advance(400);
    expect(await late.until(/two$/)).toMatch(/Set-Cookie: affinity=/);
    expect(await line(/\/late/)).toMatch(/dyno=web\.2 .* affinity=miss/);
  });

  test("a draining dyno keeps its sessions until its drain is over, and not after", async () => {
    const one = await rawBackend((socket, text) => {
      if (!text.includes("POST") || text.endsWith("cde"))
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    });
    const two = await cannedBackend("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    const { port, routes } = await rig([], {
      affinity: true,
      balance: "round-robin",
      backends: [
        { id: "a", address: address(one.port) },
        { id: "b", address: address(two.port) },
      ],
    });
    const cookie = /affinity=[^;]+/.exec(await exchange(port, get()))?.[0] as string;
    const upload = new RawClient(port).write(
      `POST / HTTP/1.1\r\nHost: app.test\r\nCookie: ${cookie}\r\nContent-Length: 5\r\n\r\nab`,
    );
    await when(() => one.received.some((text) => text.includes("POST")));
    const drained = routes.drain("app", "a", { timeoutMs: 30_000 });
    expect(await exchange(port, get("/", `Cookie: ${cookie}`))).toMatch(/one$/);
    expect(await exchange(port, get())).toMatch(/two$/);
    upload.write("cde");
    await upload.until(/one/);
    expect(await drained).toEqual({ completed: true });
    expect(await exchange(port, get("/", `Cookie: ${cookie}`))).toMatch(/two$/);
  });

  test("a cookie of another app, an old one and one of another key are worth nothing", async () => {
    const clock = new FakeClock();
    const backend = await cannedBackend(OK);
    const { port, routes, line } = await rig(
      [backend.port],
      { affinity: { maxAgeSeconds: 60 } },
      { clock },
    );
    routes.set("other", {
      hosts: ["other.test"],
      affinity: true,
      backends: [{ address: address(backend.port) }],
    });
    const text = await exchange(port, get());
    expect(text).toMatch(/; Max-Age=60\r\n/);
    const cookie = /affinity=[^;]+/.exec(text)?.[0] as string;
    await exchange(port, get("/own", `Cookie: ${cookie}`));
    expect(await line(/\/own/)).not.toMatch(/affinity=/);
    await exchange(port, `GET /other HTTP/1.1\r\nHost: other.test\r\nCookie: ${cookie}\r\n\r\n`);
    expect(await line(/\/other/)).toMatch(/affinity=miss/);
    const forged = `${cookie.slice(0, -1)}${cookie.endsWith("A") ? "B" : "A"}`;
    for (const value of [forged, "affinity=", `affinity=${"A".repeat(5000)}`]) {
      await exchange(port, get("/forged", `Cookie: ${value}`));
      expect(await line(/\/forged/)).toMatch(/affinity=miss/);
    }
    clock.advance(61_000);
    await exchange(port, get("/old", `Cookie: ${cookie}`));
    expect(await line(/\/old/)).toMatch(/affinity=miss/);
  });
});

describe("compat: heroku", () => {
  test("a field over its limit is 400, a second 100 after an Expect is H17", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    });
    const { port, line } = await rig(
      [backend.port],
      { continue: "end-to-end" },
      { compat: "heroku" },
    );
    expect(await exchange(port, get("/", `X: ${"a".repeat(9000)}`))).toMatch(/^HTTP\/1\.1 400 /);
    expect(await line()).toMatch(/code=H26 .* status=400 .*cause="too-long"/);
    const text = await exchange(
      port,
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    expect(text).toMatch(/HTTP\/1\.1 503 /);
    expect(await line()).toMatch(/code=H17 .*cause="second 100"/);
  });
});

describe("settings of all apps", () => {
  test("access rules come before the look-up and name their rule as a digest", async () => {
    const backend = await cannedBackend(OK);
    const { port, line } = await rig([backend.port], {}, { access: { deny: ["127.0.0.0/8"] } });
    for (const host of ["app.test", "unknown.test"]) {
      expect(await exchange(port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 403 /,
      );
      expect(await line()).toMatch(
        /at=info (?!.*code=).* status=403 .* cause="acl" rule=[0-9a-f]{8}$/,
      );
    }
  });

  test("JSON lines, queries left out, 2xx sampled", async () => {
    const backend = await cannedBackend(OK);
    const { port, line, lines } = await rig(
      [backend.port],
      {},
      {
        log: { format: "json", redactQuery: "hash", sampleSuccess: 0 },
        random: () => 0.5,
        extraLogKeys: true,
      },
    );
    await exchange(port, get("/kept?secret=1"));
    await exchange(port, "GET /x?secret=1 HTTP/1.1\r\nHost: none.test\r\n\r\n");
    const record = JSON.parse(await line());
    expect(lines).toHaveLength(1);
    expect(Object.keys(record).slice(0, 12)).toEqual(
      "at method path host request_id fwd dyno connect service status bytes protocol".split(" "),
    );
    expect(record).toMatchObject({
      at: "info",
      host: "none.test",
      connect: null,
      status: 404,
      tls: false,
      cause: "no-such-app",
      reused: "false",
      listener: "http",
    });
    expect(record.path).toMatch(/^\/x\?hash=[0-9a-f]{40}$/);
  });

  test("a listener that is meant for some hosts answers 421 for others (H31)", async () => {
    const backend = await cannedBackend(OK);
    const { router, routes, line } = await rig([backend.port]);
    routes.set("other", {
      hosts: ["a.other.test"],
      backends: [{ address: address(backend.port) }],
    });
    const { port } = await router.listen({
      host: "127.0.0.1",
      name: "private",
      hosts: ["*.other.test"],
    });
    expect(await exchange(port, get("/", "User-Agent: curl/8"))).toMatch(
      /^HTTP\/1\.1 421 [\s\S]*X-Router-Error: H31/,
    );
    expect(await line()).toMatch(
      /code=H31 desc="Misdirected Request" .* status=421 .* agent="curl\/8"/,
    );
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost: a.other.test\r\n\r\n")).toMatch(/hi$/);
  });

  test("more than 16 interim answers are 502 H17", async () => {
    const backend = await cannedBackend(
      `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(17)}${OK}`,
    );
    const { port, line } = await rig([backend.port]);
    const text = await exchange(port, get());
    expect(text.match(/103 Early Hints/g)).toHaveLength(16);
    expect(text).toMatch(/HTTP\/1\.1 502 [\s\S]*X-Router-Error: H17/);
    expect(await line()).toMatch(/code=H17 .* status=502 .*cause="too many interim answers"/);
  });
});

describe("tunnels", () => {
  const upgrade = (protocol: string) => get("/", "Connection: Upgrade", `Upgrade: ${protocol}`);

  test("a half-close is relayed in both directions and the other one goes on", async () => {
    for (const first of ["client", "backend"] as const) {
      let side = (_text: string) => {};
      const backend = await rawBackend(
        (socket, text) => {
          if (text.endsWith("\r\n\r\n"))
            socket.write(
              "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
            );
          else side(text.split("\r\n\r\n").at(-1) as string);
        },
        (socket) => {
          socket.allowHalfOpen = true;
        },
      );
      const { port, line } = await rig([backend.port]);
      const client = new RawClient(port).write(upgrade("chat"));
      await client.until(/101/);
      await line();
      const server = [...backend.sockets][0] as NonNullable<ReturnType<typeof connect>>;
      if (first === "client") {
        client.socket.end();
        await once(server, "end");
        server.end("late words");
        expect(await client.end()).toMatch(/late words$/);
      } else {
        const heard = new Promise<string>((resolve) => {
          side = (text) => text === "late words" && resolve(text);
        });
        server.end();
        await client.end();
        client.write("late words");
        expect(await heard).toBe("late words");
        client.socket.end();
      }
      expect(await line()).toMatch(/^at=info (?!.*code=).* status=101 .* upgrade=chat rx=/);
    }
  });

  test("maintenance with closeTunnels says 1001, without it tunnels stay", async () => {
    const backend = await cannedBackend(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    const { port, routes, line } = await rig([backend.port]);
    const client = new RawClient(port).write(upgrade("websocket"));
    await client.until(/101[\s\S]*\r\n\r\n$/);
    routes.patch("app", { maintenance: true });
    expect(await exchange(port, get())).toMatch(/H80/);
    expect(client.text).toMatch(/\r\n\r\n$/);
    routes.patch("app", { maintenance: { closeTunnels: true } });
    await client.until(/\x88\x02\x03\xe9$/);
    client.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]));
    client.socket.end();
    expect(await line(/rx=/)).toMatch(/at=info .* close=1001 rx=8/);
  });
});
