import { DEFAULT_ANSWER, lines, type ProxyCase, type ProxyExpectation } from "./case.ts";

const HOST = "Host: {host}";
const SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const ASK = ["Connection: Upgrade", "Upgrade: websocket"];

const switching = (protocol: string) => SWITCHING.replace("{}", protocol);
const get = (...fields: readonly string[]) => lines("GET / HTTP/1.1", HOST, ...fields);

function message(
  id: string,
  title: string,
  basis: string,
  send: readonly (string | null)[],
  answer: string,
  expect: Partial<ProxyExpectation>,
  extra: Partial<ProxyCase> = {},
): ProxyCase {
  return {
    id,
    title,
    basis,
    send,
    answer,
    expect: { status: 200, reaches: true, ...expect },
    ...extra,
  };
}

const field = (
  id: string,
  title: string,
  fields: readonly string[],
  expect: Partial<ProxyExpectation>,
) => message(`fields/${id}`, title, "spec/router.md §6", [get(...fields)], DEFAULT_ANSWER, expect);

const body = (
  id: string,
  title: string,
  answer: string,
  expect: Partial<ProxyExpectation>,
  method = "GET",
) =>
  message(
    `response/${id}`,
    title,
    "R9112 §6, spec/router.md §8",
    [lines(`${method} / HTTP/1.1`, HOST)],
    answer,
    expect,
  );

/** Fields that are kept and made, Expect, tunnels, and bodies that answers must not have. */
export const MESSAGE_CASES: readonly ProxyCase[] = [
  field("forwarded-for-made", "X-Forwarded-For names the peer alone when nobody was before", [], {
    backend: [/\r\nX-Forwarded-For: [0-9a-f.:]+\r\n/i, /\r\nX-Forwarded-Port: \d+\r\n/i],
  }),
  field("request-id-made", "a request without an id gets one", [], {
    backend: [/\r\nX-Request-Id: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\r\n/i],
  }),
  field(
    "request-id-limit",
    "a request id of 200 characters is kept",
    [`X-Request-Id: ${"aZ9+/=-b".repeat(25)}`],
    { backend: [/\r\nX-Request-Id: (?:aZ9\+\/=-b){25}\r\n/i] },
  ),
  field("request-id-hidden", "the request id is not told to the client", [], {
    clientNot: [/x-request-id/i],
  }),
  field(
    "forwarded-host",
    "X-Forwarded-Host and -By pass",
    ["X-Forwarded-Host: a.example", "X-Forwarded-By: b.example"],
    { backend: [/\r\nX-Forwarded-Host: a\.example\r\n/, /\r\nX-Forwarded-By: b\.example\r\n/] },
  ),
  field(
    "nominated-lines",
    "fields named by any Connection line do not pass",
    ["Connection: X-One", "X-One: 1", "connection: keep-alive, x-two", "X-Two: 2", "X-Stay: 3"],
    { backend: [/\r\nX-Stay: 3\r\n/], backendNot: [/x-one|x-two/i] },
  ),
  field(
    "order",
    "order, case and doubles of fields stay",
    ["X-b: 1", "x-A: 2", "X-B: 3", "Cookie: a=1", "cookie: b=2"],
    { backend: [/\r\nX-b: 1\r\nx-A: 2\r\nX-B: 3\r\nCookie: a=1\r\ncookie: b=2\r\n/] },
  ),
  field("queue-time", "X-Queue-Time of the client does not pass", ["X-Queue-Time: 77"], {
    backendNot: [/: 77\r\n/],
  }),
  field(
    "expect-case",
    "the expectation is read without regard to case",
    ["Expect: 100-Continue", "Content-Length: 0"],
    { backendNot: [/expect/i] },
  ),
  field(
    "expect-several",
    "one unknown expectation of several gets 417",
    ["Expect: 100-continue, x"],
    {
      status: 417,
      reaches: false,
    },
  ),
  message(
    "fields/upgrade-10",
    "an upgrade in HTTP/1.0 is ignored",
    "R9110 §7.8",
    [lines("GET / HTTP/1.0", HOST, ...ASK)],
    DEFAULT_ANSWER,
    { backendNot: [/upgrade/i] },
  ),
  message(
    "response/request-id",
    "an X-Request-Id of the app passes once",
    "spec/router.md §6",
    [get()],
    "HTTP/1.1 200 OK\r\nX-Request-Id: of-the-app\r\nContent-Length: 0\r\n\r\n",
    {
      client: [/\r\nX-Request-Id: of-the-app\r\n/],
      clientNot: [/x-request-id[\s\S]*x-request-id/i],
    },
  ),
  body("server", "no Server is added", DEFAULT_ANSWER, { clientNot: [/\r\nServer:/i] }),
  body(
    "server-kept",
    "Server and authentication fields of the app pass",
    "HTTP/1.1 401 No\r\nServer: app/1\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    { status: 401, client: [/\r\nServer: app\/1\r\nWWW-Authenticate: Basic\r\n/] },
  ),
  body(
    "204-body",
    "octets behind a 204 never reach the client",
    "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
    { status: 204, client: [/\r\n\r\n$/], clientNot: [/poison/] },
  ),
  body(
    "304-chunked",
    "octets behind a 304 never reach the client",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npoison\r\n0\r\n\r\n",
    { status: 304, clientNot: [/poison/] },
  ),
  body(
    "head-body",
    "a body behind an answer to HEAD never reaches the client",
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    { client: [/\r\nContent-Length: 6\r\n/i, /\r\n\r\n$/], clientNot: [/poison/] },
    "HEAD",
  ),
  body(
    "chunked",
    "chunks pass with their content",
    `${CHUNKED}3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`,
    {
      client: [/abc/, /0123456789/, /\r\n0\r\n\r\n$/],
    },
  ),
  body("chunked-empty", "an empty chunked body is complete", `${CHUNKED}0\r\n\r\n`, {
    client: [/\r\n\r\n0\r\n\r\n$/],
    closes: false,
  }),
  body(
    "chunk-extension",
    "chunk extensions of answers do not pass",
    `${CHUNKED}2;x=1\r\nhi\r\n0\r\n\r\n`,
    {
      client: [/\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/],
      clientNot: [/x=1/],
    },
  ),
  body("chunk-size-wrong", "a wrong chunk size cuts the client", `${CHUNKED}2\r\nhi\r\nzz\r\n`, {
    clientNot: [/zz|\r\n0\r\n/],
    closes: true,
  }),
  body(
    "coding-unknown",
    "an answer in another transfer coding does not pass",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    { status: 503, clientNot: [/gzip/] },
  ),
  message(
    "response/http10-trailers",
    "a 1.0 client gets no trailers",
    "spec/router.md §11",
    [lines("GET / HTTP/1.0", HOST)],
    `${CHUNKED}2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n`,
    { client: [/\r\n\r\nhi$/], clientNot: [/X-Sum/], closes: true },
  ),
  message(
    "tunnel/echo",
    "after a 101 that was asked for, octets pass both ways",
    "spec/router.md §10",
    [get(...ASK), "ping"],
    `${switching("websocket")}hello`,
    {
      status: 101,
      client: [/\r\nConnection: Upgrade\r\n/i, /\r\nUpgrade: websocket\r\n/i, /\r\n\r\nhello$/],
      backend: [/\r\n\r\nping$/],
    },
  ),
  message(
    "tunnel/early-octets",
    "octets that came with the head go first",
    "spec/router.md §10",
    [`${get(...ASK)}early`],
    switching("websocket"),
    { status: 101, backend: [/\r\n\r\nearly$/] },
  ),
  message(
    "tunnel/any-protocol",
    "any protocol and method may upgrade",
    "spec/router.md §10",
    [lines("BREW / HTTP/1.1", HOST, "Connection: upgrade", "Upgrade: coffee/2")],
    switching("coffee/2"),
    { status: 101, backend: [/^BREW /, /\r\nUpgrade: coffee\/2\r\n/i] },
  ),
  message(
    "tunnel/declined-next",
    "after a declined upgrade the next request is HTTP",
    "spec/router.md §10",
    [get(...ASK), get("X-Next: 1")],
    DEFAULT_ANSWER,
    { requests: 2, backend: [/X-Next: 1/], client: [/hiHTTP\/1\.1 200/] },
  ),
  message(
    "tunnel/close-of-app",
    "an app that ends its tunnel ends the client's",
    "spec/router.md §10",
    [get(...ASK)],
    `${switching("websocket")}bye`,
    { status: 101, client: [/bye$/], closes: true },
    { answerThenClose: true },
  ),
];
