import { describe, expect, test } from "vitest";
import { cannedBackend, exchange, get, OK, RawClient, rawBackend, rig } from "./support/harness.ts";

describe("forwarding", () => {
  test("a request reaches the dyno with the router's fields and is logged as Heroku does", async () => {
    const backend = await cannedBackend(OK);
    const { port, line } = await rig([backend.port]);
    const answer = await exchange(port, get("/a?b=c", "X-Keep: 1"));
    expect(answer).toMatch(
      /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\nDate: .*\r\nVia: 1\.1 dynokit\r\n\r\nhi$/,
    );
    const head = backend.received[0] as string;
    expect(head).toMatch(/^GET \/a\?b=c HTTP\/1\.1\r\nHost: app\.test\r\nX-Keep: 1\r\n/);
    expect(head).toMatch(/\r\nX-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\n/);
    expect(head).toContain(`\r\nX-Forwarded-Port: ${port}\r\n`);
    expect(head).toMatch(/\r\nX-Request-Id: [0-9a-f-]{36}\r\n/);
    expect(head).toMatch(/\r\nX-Request-Start: \d{13}\r\n/);
    expect(head).toMatch(/\r\nVia: 1\.1 dynokit\r\n\r\n$/);
    expect(await line()).toMatch(
      /^at=info method=GET path="\/a\?b=c" host=app\.test request_id=[0-9a-f-]{36} fwd="127\.0\.0\.1" dyno=web\.1 connect=\d+ms service=\d+ms status=200 bytes=\d+ protocol=http1\.1 tls=false$/,
    );
  });

  test("connections on both sides are kept and used again", async () => {
    const backend = await cannedBackend(OK);
    const { port } = await rig([backend.port]);
    const client = new RawClient(port);
    for (let i = 1; i <= 3; i++) {
      client.write(get(`/${i}`));
      await client.until((text) => text.split("\r\n\r\nhi").length > i);
    }
    expect(backend.received).toHaveLength(1);
  });

  test("pipelined requests are answered in order", async () => {
    const backend = await rawBackend((socket, _text, chunk) => {
      const path = /GET (\S+)/.exec(chunk.toString())?.[1] as string;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    });
    const { port } = await rig([backend.port]);
    const client = new RawClient(port).write(get("/1") + get("/22") + get("/333"));
    const text = await client.until(/\/333$/);
    expect(text.match(/\r\n\r\n\/\d+/g)).toEqual(["\r\n\r\n/1", "\r\n\r\n/22", "\r\n\r\n/333"]);
  });

  test("a chunked body and its answer are framed anew", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("0\r\n\r\n"))
        socket.write(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        );
    });
    const { port } = await rig([backend.port]);
    const answer = await exchange(
      port,
      "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5;ext\r\nhello\r\n0\r\n\r\n",
    );
    expect(answer).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n$/);
    expect(backend.received[0]).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
  });

  test("an unknown host gets 404", async () => {
    const { port, line } = await rig([]);
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 404 Not Found\r\n/,
    );
    expect(await line()).toMatch(/^at=info method=GET .* status=404 .* cause="no-such-app"$/);
  });

  test("a WebSocket passes octet for octet", async () => {
    const backend = await rawBackend((socket, text, chunk) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01a",
          "latin1",
        );
      else socket.write(chunk);
    });
    const { port, line } = await rig([backend.port]);
    const client = new RawClient(port).write(get("/", "Connection: Upgrade", "Upgrade: websocket"));
    await client.until(/\r\n\r\n\x81\x01a$/);
    client.write("\x81\x03xyz");
    await client.until(/xyz$/);
    expect(await line()).toMatch(/at=info .* status=101 .* upgrade=websocket$/);
    client.socket.end();
    await client.end();
    expect(await line()).toMatch(/at=info .* status=101 .* upgrade=websocket rx=5$/);
  });
});

describe("H-codes without a backend", () => {
  for (const [code, options] of [
    ["H14", { backends: [] }],
    ["H10", { backends: [{ address: { host: "127.0.0.1", port: 1 }, state: "crashed" }] }],
    ["H80", { maintenance: true }],
    ["H81", { state: "blank" }],
    ["H82", { state: "quota-exhausted" }],
    ["H83", { state: "degraded" }],
  ] as const)
    test(code, async () => {
      const { port, line } = await rig([], options as never);
      expect(await exchange(port, get())).toMatch(
        new RegExp(`^HTTP/1\\.1 503 [\\s\\S]*X-Router-Error: ${code}\r\n`),
      );
      expect(await line()).toMatch(
        new RegExp(`code=${code} desc="[^"]+" method=GET .* dyno= connect= service= status=503`),
      );
    });

  test("H21 when the dyno refuses the connection", async () => {
    const { port, line } = await rig([1]);
    expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 503 /);
    expect(await line()).toMatch(
      /at=error code=H21 desc="Backend connection refused" .* dyno=web\.1 /,
    );
  });

  test("H13 when the dyno closes without an answer", async () => {
    const backend = await rawBackend((socket) => socket.destroy());
    const { port, line } = await rig([backend.port]);
    expect(await exchange(port, get())).toMatch(/^HTTP\/1\.1 503 /);
    expect(await line()).toMatch(/code=H13 desc="Connection closed without response"/);
  });

  test("H18 when the dyno closes in the middle of its answer", async () => {
    const backend = await rawBackend((socket) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    );
    const { port, line } = await rig([backend.port]);
    expect(await exchange(port, get())).toMatch(/abc$/);
    expect(await line()).toMatch(
      /code=H18 desc="Server Request Interrupted" .* status=503 .* sock=backend .* sent=200/,
    );
  });
});
