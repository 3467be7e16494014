import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as http2 from "node:http2";
import type { Socket } from "node:net";
import type { AppRouteOptions } from "@dynokit/router";
import { describe, expect, onTestFinished, test } from "vitest";
import { exchange, get, RawClient, rawBackend, rig } from "./support/harness.ts";
import { listening } from "./support/listening.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");

type Serve = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

/** Cuts the connections of the last app. */
let cut = () => {};

/** An app that speaks HTTP/2 alone, and the router in front of it. */
async function h2App(serve: Serve, app: AppRouteOptions = {}, secure = false) {
  const server = secure
    ? http2.createSecureServer({ cert: fixture("app.crt"), key: fixture("app.key") })
    : http2.createServer();
  const sessions: http2.ServerHttp2Session[] = [];
  server.on("connection", (socket: Socket) => sockets.add(socket));
  const sockets = new Set<Socket>();
  cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    serve(stream, headers);
  });
  const made = await rig([await listening(server)], {
    backendProtocol: "h2c",
    ...app,
  });
  return { ...made, sessions };
}

/** Answers with what it got. */
const echo: Serve = (stream, headers) => {
  const parts: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => parts.push(chunk));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/json" });
    stream.end(JSON.stringify({ headers, body: Buffer.concat(parts).toString() }));
  });
};

const seen = (text: string) => {
  const json = /\{.*\}/.exec(text)?.[0] ?? "null";
  return JSON.parse(json) as { headers: Record<string, string>; body: string };
};

async function h2Client(made: Awaited<ReturnType<typeof h2App>>) {
  const { port } = await made.router.listen({ host: "127.0.0.1", h2c: true });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

test("requests reach the app as HTTP/2, one connection after the other request", async () => {
  const { port, sessions, line } = await h2App(echo);
  const first = seen(
    await exchange(port, get("/a?b", "X-One: 1", "X-One: 2", "Connection: X-Gone", "X-Gone: 1")),
  );
  expect(first.headers).toMatchObject({
    ":method": "GET",
    ":path": "/a?b",
    ":scheme": "http",
    ":authority": "app.test",
    "x-one": "1, 2",
    "x-forwarded-for": "127.0.0.1",
    via: "1.1 dynokit",
  });
  expect(Object.keys(first.headers).join()).not.toMatch(/connection|x-gone|host,|transfer/);
  const length = seen(
    await exchange(port, `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc`),
  );
  expect(length).toMatchObject({ body: "abc", headers: { "content-length": "3" } });
  const text = await exchange(
    port,
    `PUT / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
  );
  expect(seen(text).body).toBe("abcde");
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nTransfer-Encoding: chunked\r\n/);
  expect(text).toMatch(/\r\nVia: 2\.0 dynokit\r\n/);
  expect(sessions).toHaveLength(1);
  expect(await line()).toMatch(/^at=info method=GET path="\/a\?b" .* status=200 /);
});

test("answers without a body have none, and a stated length stays", async () => {
  const { port, sessions } = await h2App((stream, headers) => {
    const path = headers[":path"];
    if (path === "/204") stream.respond({ ":status": 204 }, { endStream: true });
    else if (path === "/304")
      stream.respond({ ":status": 304, "content-length": 9 }, { endStream: true });
    else if (path === "/none") stream.respond({ ":status": 200 }, { endStream: true });
    else {
      stream.respond({ ":status": 200, "content-length": 2, "set-cookie": ["a=1", "b=2"] });
      stream.end(headers[":method"] === "HEAD" ? undefined : "hi");
    }
  });
  const client = new RawClient(port);
  client.write(get("/204"));
  expect(await client.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
  client.text = "";
  client.write(get("/304"));
  expect(await client.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 304 [\s\S]*Content-Length: 9\r\n/);
  client.text = "";
  client.write(get("/none"));
  expect(await client.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 200 [\s\S]*Content-Length: 0\r\n/);
  client.text = "";
  client.write("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  expect(await client.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 200 [\s\S]*Content-Length: 2\r\n/);
  client.text = "";
  client.write(get("/"));
  expect(await client.until(/hi$/)).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
  expect(sessions).toHaveLength(1);
});

test("large bodies pass both ways, whatever the client speaks", async () => {
  const made = await h2App((stream, headers) => {
    stream.respond({ ":status": 200, "x-te": headers["te"] ?? "" });
    stream.pipe(stream);
  });
  const body = Buffer.alloc(3_000_000, "0123456789abcdef");
  const one = new RawClient(made.port);
  one.write(
    `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
  );
  one.write(body);
  const text = await one.end();
  const chunks = text.slice(text.indexOf("\r\n\r\n") + 4);
  let total = 0;
  for (let at = 0; at < chunks.length; ) {
    const end = chunks.indexOf("\r\n", at);
    const size = Number.parseInt(chunks.slice(at, end), 16);
    total += size;
    at = end + 2 + size + 2;
  }
  expect(total).toBe(body.length);
  const session = await h2Client(made);
  const stream = session.request({ ":method": "POST", ":path": "/", ":authority": "app.test" });
  stream.end(body);
  const parts: Buffer[] = [];
  for await (const chunk of stream) parts.push(chunk as Buffer);
  expect(Buffer.concat(parts).equals(body)).toBe(true);
});

test("fields that may stand once in HTTP/2 do no harm when a client sends them twice", async () => {
  const { port, line } = await h2App((stream, headers) => {
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on("trailers", (fields) => {
      trailers = fields;
    });
    stream.resume();
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(JSON.stringify({ headers: { ...headers, trailers }, body: "" }));
    });
  });
  const twice = "Range: a\r\nRange: b\r\nReferer: a\r\nReferer: b\r\nconstructor: c\r\n";
  const answer = await exchange(
    port,
    `POST / HTTP/1.1\r\nHost: app.test\r\n${twice}Transfer-Encoding: chunked\r\n\r\n` +
      "2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nconstructor: d\r\nETag: 1\r\nETag: 2\r\n\r\n",
  );
  expect(seen(answer).headers).toMatchObject({
    range: "a, b",
    trailers: { "x-sum": "1, 2", etag: "1" },
  });
  expect(answer).toContain('"constructor":"c"');
  expect(answer).toContain('"constructor":"d"');
  expect(await line()).toMatch(/^at=info /);
});

test("a call of gRPC passes: TE, messages both ways in turn, trailers", async () => {
  const made = await h2App((stream, headers) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "x-te": headers["te"] ?? "" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () =>
      stream.sendTrailers({ "grpc-status": "0", "grpc-message": "" }),
    );
    stream.on("data", (chunk: Buffer) => stream.write(`got ${chunk}`));
    stream.on("end", () => stream.end());
  });
  const session = await h2Client(made);
  const stream = session.request(
    {
      ":method": "POST",
      ":path": "/pkg.Service/Method",
      ":authority": "app.test",
      "content-type": "application/grpc",
      te: "trailers",
    },
    { endStream: false },
  );
  stream.write("one");
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  expect(headers).toMatchObject({ ":status": 200, "x-te": "trailers" });
  expect(String((await once(stream, "data"))[0])).toBe("got one");
  stream.write("two");
  expect(String((await once(stream, "data"))[0])).toBe("got two");
  const trailers = once(stream, "trailers");
  stream.end();
  stream.resume();
  expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
});

test("a refused stream is sent again, any method, and no other failure is", async () => {
  let refusals = 1;
  const { port, line, router } = await h2App((stream, headers) => {
    if (headers[":path"] === "/refused" && refusals-- > 0)
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    else if (headers[":path"] === "/reset") stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    else echo(stream, headers);
  });
  const post = (path: string) =>
    exchange(port, `POST ${path} HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc`);
  expect(seen(await post("/refused")).body).toBe("abc");
  expect(await line()).toMatch(/ status=200 .* attempts=2 tried=web\.1:refused-stream/);
  expect(router.metrics()).toContain('router_retries_total{app="app",reason="refused-stream"} 1');
  expect(await post("/reset")).toMatch(/^HTTP\/1\.1 503 /);
  expect(await line()).toMatch(/ code=H13 /);
});

describe("GOAWAY while a request is on its way", () => {
  const { NGHTTP2_NO_ERROR: none, NGHTTP2_INTERNAL_ERROR: internal } = http2.constants;
  const POST = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc";

  test.each([none, internal])(
    "with code %i, a stream above its last one is sent again, any method",
    async (code) => {
      let requests = 0;
      const { port, line, sessions } = await h2App((stream, headers) => {
        // A last stream of 0 would mean the newest one to Node.
        if (++requests === 2) stream.session?.goaway(code, (stream.id as number) - 2);
        else echo(stream, headers);
      });
      expect(seen(await exchange(port, POST)).body).toBe("abc");
      expect(await line()).toMatch(/ status=200 /);
      expect(seen(await exchange(port, POST)).body).toBe("abc");
      expect(await line()).toMatch(/ status=200 .* attempts=2 tried=web\.1:refused-stream/);
      expect(sessions).toHaveLength(2);
    },
  );

  test("a stream up to its last one is answered, and the next request connects anew", async () => {
    const { port, line, sessions } = await h2App((stream, headers) => {
      stream.session?.goaway(none, stream.id);
      echo(stream, headers);
    });
    for (const count of [1, 2]) {
      expect(seen(await exchange(port, POST)).body).toBe("abc");
      expect(await line()).toMatch(/ status=200 /);
      expect(sessions).toHaveLength(count);
    }
  });

  test("a stream up to its last one that ends without an answer is not sent again", async () => {
    let requests = 0;
    const { port, line } = await h2App((stream) => {
      requests++;
      stream.session?.goaway(internal, stream.id);
      stream.session?.destroy();
    });
    expect(await exchange(port, POST)).toMatch(/^HTTP\/1\.1 503 /);
    expect(await line()).toMatch(/ code=H13 /);
    expect(requests).toBe(1);
  });
});

describe("an answer that breaks off", () => {
  for (const [name, serve] of [
    [
      "reset",
      (stream: http2.ServerHttp2Stream) => {
        stream.respond({ ":status": 200 });
        stream.write("abc", () => stream.destroy(new Error("broken")));
      },
    ],
    [
      "shorter than its length",
      (stream: http2.ServerHttp2Stream) => {
        stream.respond({ ":status": 200, "content-length": 10 });
        stream.end("abc");
      },
    ],
    [
      "session gone",
      (stream: http2.ServerHttp2Stream) => {
        stream.respond({ ":status": 200 });
        stream.write("abc", () => cut());
      },
    ],
  ] as const)
    test(name, async () => {
      const { port, line } = await h2App(serve);
      const client = new RawClient(port).write(get());
      const text = await client.end();
      expect(text).toMatch(/^HTTP\/1\.1 200 /);
      expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
      expect(await line()).toMatch(/ code=H18 .* sent=200 /);
    });
});

test("an app that speaks HTTP/1.1 is H17, one that closes is H13, none is H21", async () => {
  const http1 = await rawBackend((socket) =>
    socket.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
  );
  const closing = await rawBackend((socket) => socket.destroy());
  const gone = await rawBackend(() => {});
  gone.server.close();
  for (const [backend, code] of [
    [http1, "H17"],
    [closing, "H13"],
    [gone, "H21"],
  ] as const) {
    const { port } = await rig([backend.port], { backendProtocol: "h2c" });
    expect(await exchange(port, get()), code).toMatch(new RegExp(`X-Router-Error: ${code}\r\n`));
  }
});

test("103 is relayed; a client that leaves resets the stream", async () => {
  let closed = (_code: number) => {};
  const code = new Promise<number>((resolve) => {
    closed = resolve;
  });
  let reached = () => {};
  const asked = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const { port, line } = await h2App((stream, headers) => {
    if (headers[":path"] === "/hang") {
      reached();
      stream.on("close", () => closed(stream.rstCode));
      return;
    }
    stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
    stream.respond({ ":status": 200 });
    stream.end("hi");
  });
  expect(await exchange(port, get())).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  );
  await line();
  const client = new RawClient(port).write(get("/hang"));
  await asked;
  client.socket.destroy();
  expect(await code).toBe(http2.constants.NGHTTP2_CANCEL);
  expect(await line()).toMatch(/ code=H27 /);
});

test("with TLS to the app, HTTP/2 is agreed on by ALPN", async () => {
  const tls = { ca: fixture("app.crt"), serverName: "app.test" };
  const { port } = await h2App(echo, { backendTls: tls }, true);
  expect(seen(await exchange(port, get())).headers[":scheme"]).toBe("https");
});

test("active checks speak what the app speaks", async () => {
  let healthy = true;
  const asked: string[] = [];
  const { routes } = await h2App(
    (stream, headers) => {
      asked.push(String(headers[":path"]));
      stream.respond({ ":status": healthy ? 200 : 500 }, { endStream: true });
    },
    { health: { path: "/health", intervalMs: 100 } },
  );
  await expect.poll(() => asked.length, { timeout: 5000 }).toBeGreaterThan(1);
  const backend = routes.get("app")?.up[0];
  expect(backend?.unhealthy).toBe(false);
  healthy = false;
  await expect.poll(() => backend?.unhealthy, { timeout: 5000 }).toBe(true);
});
