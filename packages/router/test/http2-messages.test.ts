import * as http2 from "node:http2";
import { describe, expect, onTestFinished, test } from "vitest";
import { cannedBackend, OK, rawBackend, rig } from "./support/harness.ts";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  fieldBlock,
  frame,
  frames,
  HEADERS,
  RST_STREAM,
} from "./support/http2-frames.ts";

type Fields = readonly (readonly [string, string])[];

/** A router on clear HTTP/2 in front of one backend; an exception in it fails the test. */
async function h2c(backendPort: number) {
  const made = await rig(
    [backendPort],
    {},
    {
      onError: (error) => {
        throw error;
      },
    },
  );
  const { port } = await made.router.listen({ host: "127.0.0.1", h2c: true });
  return { ...made, port };
}

/** One request by Node's client: status, fields, trailers and the code of a reset. */
async function ask(port: number, method = "GET") {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":method": method, ":path": "/", ":authority": "app.test" });
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  let trailers: http2.IncomingHttpHeaders = {};
  let body = "";
  stream.on("error", () => {});
  stream.on("response", (fields) => {
    headers = fields;
  });
  stream.on("trailers", (fields) => {
    trailers = fields;
  });
  stream.setEncoding("latin1");
  stream.on("data", (chunk: string) => {
    body += chunk;
  });
  await new Promise<void>((resolve) => stream.once("close", () => resolve()));
  return { headers, trailers, body, code: stream.rstCode };
}

describe("answers that node:http2 would refuse to send", () => {
  test("fields that may stand once are sent once, in the head and in trailers", async () => {
    const twice = ["ETag", "Referer", "User-Agent", "If-Match", "Content-Type", "Location"];
    const backend = await cannedBackend(
      `HTTP/1.1 200 OK\r\n${twice.map((name) => `${name}: a\r\n${name}: b\r\n`).join("")}` +
        "Set-Cookie: a\r\nSet-Cookie: b\r\nconstructor: c\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "2\r\nhi\r\n0\r\nETag: 1\r\nETag: 2\r\nX-Sum: 3\r\nX-Sum: 4\r\n\r\n",
    );
    const { port, line } = await h2c(backend.port);
    const seen = await ask(port);
    expect(seen).toMatchObject({ body: "hi", code: 0, headers: { ":status": 200 } });
    for (const name of twice) expect(seen.headers[name.toLowerCase()]).toBe("a");
    expect(seen.headers["set-cookie"]).toEqual(["a", "b"]);
    expect(Object.entries(seen.headers)).toContainEqual(["constructor", "c"]);
    expect(seen.trailers).toMatchObject({ "x-sum": "3, 4" });
    expect(await line()).toMatch(/^at=info .* status=200 /);
  });

  test("fields of a connection stay behind, those of HTTP/2 included", async () => {
    const backend = await cannedBackend(
      "HTTP/1.1 200 OK\r\nConnection: X-A\r\nX-A: 1\r\nTE: gzip\r\nHTTP2-Settings: x\r\nUpgrade: y\r\n" +
        "Keep-Alive: timeout=9\r\nProxy-Connection: q\r\nContent-Length: 2\r\n\r\nhi",
    );
    const { port } = await h2c(backend.port);
    const { headers, body } = await ask(port);
    expect(body).toBe("hi");
    expect(new Set(Object.keys(headers))).toEqual(
      new Set([":status", "content-length", "date", "via"]),
    );
  });

  test("a status over 599 is H17, since it cannot be told", async () => {
    const backend = await cannedBackend(OK.replace("200", "666"));
    const { port, line } = await h2c(backend.port);
    const { headers } = await ask(port);
    expect(headers).toMatchObject({ ":status": 503, "x-router-error": "H17" });
    expect(await line()).toMatch(/ code=H17 .* status=503 .* cause="status line"/);
  });

  test("answers without a body have none", async () => {
    for (const head of ["204 No Content", "304 Not Modified"]) {
      const backend = await cannedBackend(`HTTP/1.1 ${head}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const { port } = await h2c(backend.port);
      expect(await ask(port)).toMatchObject({
        headers: { ":status": Number(head.slice(0, 3)) },
        body: "",
        code: 0,
      });
    }
  });
});

const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "app.test"],
];

/** The request with one field in place of another, or one more. */
function withField(name: string, value: string): Fields {
  const known = GET.some(([each]) => each === name);
  return known
    ? GET.map((field) => (field[0] === name ? ([name, value] as const) : field))
    : [...GET, [name, value]];
}

const without = (name: string): Fields => GET.filter(([each]) => each !== name);

describe("malformed requests reach no app", () => {
  const cases: readonly (readonly [string, Fields])[] = [
    ["an upper-case name", withField("X-Up", "1")],
    ["connection", withField("connection", "close")],
    ["keep-alive", withField("keep-alive", "1")],
    ["proxy-connection", withField("proxy-connection", "close")],
    ["transfer-encoding", withField("transfer-encoding", "chunked")],
    ["upgrade", withField("upgrade", "h2c")],
    ["te other than trailers", withField("te", "gzip")],
    ["an unknown pseudo field", withField(":foo", "bar")],
    ["a pseudo field of answers", withField(":status", "200")],
    ["a pseudo field after others", [...without(":path"), ["x", "1"], [":path", "/"]]],
    ["no method", without(":method")],
    ["no scheme", without(":scheme")],
    ["no path", without(":path")],
    ["no authority", without(":authority")],
    ["an empty path", withField(":path", "")],
    ["two paths", [...GET, [":path", "/"]]],
    ["two methods", [...GET, [":method", "GET"]]],
    ["a path that is no origin-form", withField(":path", "app")],
    ["* with another method than OPTIONS", withField(":path", "*")],
    ["an absolute path", withField(":path", "http://app.test/")],
    ["a fragment", withField(":path", "/a#b")],
    ["another scheme", withField(":scheme", "https")],
    ["another host", withField("host", "other.test")],
    ["user information", withField(":authority", "me@app.test")],
    ["a length without a body", withField("content-length", "3")],
    ["a length that is no number", withField("content-length", "+0")],
  ];
  test.each(cases)("%s", async (_name, fields) => {
    const backend = await rawBackend((socket) => socket.write(OK));
    const { port } = await h2c(backend.port);
    const { socket, next } = await frames(port);
    socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, fieldBlock(fields)));
    const { type, payload } = await next(1, HEADERS, RST_STREAM);
    // What Node lets pass is answered by the router: 0x8c is 400 in the static table.
    if (type === HEADERS) expect(payload[0]).toBe(0x8c);
    else expect(payload.readUInt32BE(0)).toBe(http2.constants.NGHTTP2_PROTOCOL_ERROR);
    expect(backend.received).toEqual([]);
  });
});

test("CONNECT is answered with 501", async () => {
  const backend = await rawBackend(() => {});
  const { port, line } = await h2c(backend.port);
  const { socket } = await frames(port);
  const fields: Fields = [
    [":method", "CONNECT"],
    [":authority", "app.test:80"],
  ];
  socket.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, fieldBlock(fields)));
  expect(await line()).toMatch(/^at=error code=H26 .* status=501 /);
  expect(backend.received).toEqual([]);
});

describe("a body that breaks a rule ends its stream and is H26", () => {
  const post = withField(":method", "POST");
  const more = frame(DATA, END_STREAM, 1, Buffer.from("abc"));
  const part = frame(DATA, 0, 1, Buffer.from("abc"));
  const trailers = (flags: number, fields: Fields) => frame(HEADERS, flags, 1, fieldBlock(fields));
  const both = END_HEADERS | END_STREAM;
  test.each([
    ["more than its length", [...post, ["content-length", "2"]] as Fields, [more]],
    ["less than its length", [...post, ["content-length", "5"]] as Fields, [more]],
    ["trailers with a pseudo field", post, [part, trailers(both, [[":method", "GET"]])]],
    ["trailers that end nothing", post, [part, trailers(END_HEADERS, [["x", "y"]])]],
    ["trailers with an upper-case name", post, [part, trailers(both, [["X", "y"]])]],
  ])("%s", async (_name, fields, rest) => {
    const backend = await rawBackend(() => {});
    const { port, line } = await h2c(backend.port);
    const { socket, next } = await frames(port);
    socket.write(frame(HEADERS, END_HEADERS, 1, fieldBlock(fields)));
    socket.write(Buffer.concat(rest));
    expect((await next(1, RST_STREAM)).payload.readUInt32BE(0)).toBe(
      http2.constants.NGHTTP2_PROTOCOL_ERROR,
    );
    expect(await line()).toMatch(/^at=error code=H26 .* status=400 /);
    // Whatever reached the app, no complete request did.
    expect(backend.received.join("")).not.toMatch(/\r\n\r\n(?:.{5}|.*0\r\n\r\n)$/s);
  });
});
