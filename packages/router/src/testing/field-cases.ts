import { DEFAULT_ANSWER, lines, type ProxyCase, type ProxyExpectation } from "./case.ts";

const HOST = "Host: {host}";

function request(
  id: string,
  title: string,
  fields: readonly string[],
  expect: Partial<ProxyExpectation>,
): ProxyCase {
  return {
    id: `fields/${id}`,
    title,
    basis: "R9110 §7.6",
    send: [lines("GET / HTTP/1.1", HOST, ...fields)],
    expect: { status: 200, reaches: true, ...expect },
  };
}

function response(
  id: string,
  title: string,
  answer: string,
  expect: Partial<ProxyExpectation>,
  extra: Partial<ProxyCase> = {},
): ProxyCase {
  return {
    id: `response/${id}`,
    title,
    basis: "R9112 §6, spec/router.md §8",
    send: [lines("GET / HTTP/1.1", HOST)],
    answer,
    expect: { status: 200, reaches: true, ...expect },
    ...extra,
  };
}

const head = (method: string, version = "1.1", ...fields: readonly string[]) => [
  lines(`${method} / HTTP/${version}`, HOST, ...fields),
];

/** Hop-by-hop and router-owned fields of requests (spec/router.md §6), Expect (§7), Upgrade (§10). */
export const FIELD_CASES: readonly ProxyCase[] = [
  request(
    "hop-by-hop",
    "hop-by-hop fields do not pass",
    [
      "Connection: keep-alive",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: keep-alive",
      "Proxy-Authorization: Basic eA==",
      "TE: gzip",
      "X-Stay: 1",
    ],
    {
      backend: [/X-Stay: 1/],
      backendNot: [/keep-alive:|proxy-connection|proxy-authorization|\r\nte:/i],
    },
  ),
  request(
    "nominated",
    "fields named by Connection do not pass",
    ["Connection: X-Drop, close", "X-Drop: 1", "X-Stay: 1"],
    { backend: [/X-Stay: 1/], backendNot: [/X-Drop/], closes: true },
  ),
  request(
    "nominated-owned",
    "Connection cannot take away what the router owns",
    [
      "Connection: X-Forwarded-For, X-Request-Id, Host, Cookie, Authorization, Via",
      "Cookie: a=b",
      "Authorization: x",
    ],
    {
      backend: [
        /\r\nX-Forwarded-For: /i,
        /\r\nX-Request-Id: /i,
        /\r\nHost: /,
        /\r\nCookie: a=b/,
        /\r\nAuthorization: x/,
        /\r\nVia: /i,
      ],
    },
  ),
  {
    ...request(
      "nominated-length",
      "Connection that names Content-Length is refused",
      ["Connection: Content-Length", "Content-Length: 0"],
      {},
    ),
    expect: { status: 400, reaches: false, closes: true },
  },
  {
    ...request(
      "nominated-coding",
      "Connection that names Transfer-Encoding is refused",
      ["Connection: transfer-encoding"],
      {},
    ),
    expect: { status: 400, reaches: false, closes: true },
  },
  request(
    "te-trailers",
    "TE: trailers is announced again",
    ["TE: trailers, deflate", "Connection: TE"],
    { backend: [/\r\nTE: trailers\r\n/, /\r\nConnection: [^\r]*TE/i], backendNot: [/deflate/] },
  ),
  request("request-id-kept", "a valid request id is kept", [`X-Request-Id: ${"a".repeat(20)}`], {
    backend: [/\r\nX-Request-Id: a{20}\r\n/i],
  }),
  request(
    "request-id-short",
    "a request id of 19 characters is replaced",
    [`X-Request-Id: ${"a".repeat(19)}`],
    { backend: [/\r\nX-Request-Id: [0-9a-f-]{36}\r\n/i] },
  ),
  request(
    "request-id-long",
    "a request id of 201 characters is replaced",
    [`X-Request-Id: ${"a".repeat(201)}`],
    { backend: [/\r\nX-Request-Id: [0-9a-f-]{36}\r\n/i] },
  ),
  request(
    "request-id-octets",
    "a request id with other characters is replaced",
    [`X-Request-Id: ${"a".repeat(20)}_`],
    { backend: [/\r\nX-Request-Id: [0-9a-f-]{36}\r\n/i] },
  ),
  request(
    "request-id-several",
    "of several request ids the first valid one stays",
    ["X-Request-Id: bad", `X-Request-Id: ${"b".repeat(20)}`, `X-Request-Id: ${"c".repeat(20)}`],
    { backend: [/\r\nX-Request-Id: b{20}\r\n/i], backendNot: [/c{20}|: bad/] },
  ),
  request(
    "forwarded-for",
    "the peer is appended to X-Forwarded-For",
    ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2"],
    { backend: [/\r\nX-Forwarded-For: 1\.1\.1\.1, 2\.2\.2\.2, [0-9a-f.:]+\r\n/i] },
  ),
  request(
    "forwarded-proto",
    "X-Forwarded-Proto and -Port of the client are replaced",
    ["X-Forwarded-Proto: https", "X-Forwarded-Port: 443"],
    { backend: [/\r\nX-Forwarded-Proto: http\r\n/i], backendNot: [/: https\r\n|Port: 443\r\n/] },
  ),
  request("request-start", "X-Request-Start is set anew", ["X-Request-Start: 5"], {
    backend: [/\r\nX-Request-Start: \d{13}\r\n/i],
    backendNot: [/Start: 5\r\n/],
  }),
  request(
    "times",
    "Connect-Time and Total-Route-Time are set anew",
    ["Connect-Time: a", "Total-Route-Time: b"],
    { backend: [/\r\nConnect-Time: \d+\r\n/i, /\r\nTotal-Route-Time: \d+\r\n/i] },
  ),
  request("via", "Via is appended", ["Via: 1.0 first"], {
    backend: [/\r\nVia: 1\.0 first(?:, |\r\n[\s\S]*Via: )1\.1 \S+\r\n/i],
  }),
  request(
    "underscore-twin",
    "underscore twins of owned names are dropped",
    ["X_Forwarded_For: 6.6.6.6", "x_request_id: evil", "Content_Length: 5", "X_Other: 1"],
    { backend: [/\r\nX_Other: 1\r\n/], backendNot: [/6\.6\.6\.6|evil|Content_Length/] },
  ),
  request("early-data", "Early-Data of the client does not pass", ["Early-Data: 1"], {
    backendNot: [/early-data/i],
  }),
  request("expect-other", "another expectation gets 417", ["Expect: 200-ok"], {
    status: 417,
    reaches: false,
  }),
  request("expect-empty", "an empty Expect is no expectation", ["Expect:"], {}),
  {
    id: "expect/auto",
    title: "the router says 100 and hides Expect from the app",
    basis: "Heroku",
    send: [
      lines("POST / HTTP/1.1", HOST, "Expect: 100-continue", "Content-Length: 3"),
      /^HTTP\/1\.1 100 /,
      "abc",
    ],
    expect: {
      status: 200,
      reaches: true,
      client: [/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/],
      backend: [/abc$/],
      backendNot: [/expect/i],
    },
  },
  {
    id: "expect/http10",
    title: "a 1.0 client gets no 100",
    basis: "R9110 §10.1.1",
    send: [`${lines("POST / HTTP/1.0", HOST, "Expect: 100-continue", "Content-Length: 3")}abc`],
    expect: { status: 200, reaches: true, clientNot: [/ 100 /] },
  },
  request(
    "upgrade-missing",
    "Connection: upgrade without Upgrade is refused",
    ["Connection: upgrade"],
    { status: 400, reaches: false },
  ),
  request(
    "upgrade-h2c",
    "h2c and TLS upgrades are never offered",
    [
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c, TLS/1.2",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
    ],
    { backendNot: [/upgrade|http2-settings|h2c/i] },
  ),
  request(
    "upgrade-not-named",
    "Upgrade that Connection does not name is not offered",
    ["Upgrade: websocket"],
    { backendNot: [/upgrade/i] },
  ),
  request(
    "upgrade-declined",
    "a declined upgrade stays HTTP",
    ["Connection: Upgrade", "Upgrade: websocket"],
    { backend: [/\r\nConnection: Upgrade\r\n/i, /\r\nUpgrade: websocket\r\n/i] },
  ),
];

/** Responses (spec/router.md §6, §7, §8, §11). */
export const RESPONSE_CASES: readonly ProxyCase[] = [
  response(
    "hop-by-hop",
    "hop-by-hop and nominated fields do not pass",
    "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Drop\r\nKeep-Alive: timeout=5\r\nX-Drop: 1\r\nProxy-Connection: x\r\nX-Stay: 1\r\nContent-Length: 0\r\n\r\n",
    { client: [/X-Stay: 1/], clientNot: [/X-Drop|Keep-Alive|Proxy-Connection/i] },
  ),
  response("date", "Date is added when missing", DEFAULT_ANSWER, {
    client: [/\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/],
  }),
  response(
    "date-kept",
    "Date of the app is kept",
    "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
    { client: [/\r\nDate: x\r\n/], clientNot: [/GMT/] },
  ),
  response("via", "Via is appended", DEFAULT_ANSWER, { client: [/\r\nVia: 1\.1 \S+\r\n/] }),
  response(
    "set-cookie",
    "Set-Cookie lines are never joined",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    { client: [/\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n/] },
  ),
  response(
    "status-666",
    "a status outside the registry passes with its text",
    "HTTP/1.1 666 Beast Mode\r\nContent-Length: 0\r\n\r\n",
    { status: 666, client: [/^HTTP\/1\.1 666 Beast Mode\r\n/] },
  ),
  response(
    "no-reason",
    "a missing reason is accepted",
    "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    { client: [/^HTTP\/1\.1 200 \r\n/] },
  ),
  response("unparsable", "an unparsable status line gets 503", "HTTQ/1.1 200 OK\r\n\r\n", {
    status: 503,
  }),
  response("garbage", "garbage gets 503", "this is not HTTP at all, really\r\n\r\n", {
    status: 503,
  }),
  response("two-digit-status", "a status of two digits gets 503", "HTTP/1.1 20 OK\r\n\r\n", {
    status: 503,
  }),
  response(
    "status-line-over",
    "a status line over 8192 octets gets 502",
    `HTTP/1.1 200 ${"r".repeat(8180)}\r\n\r\n`,
    { status: 502 },
  ),
  response(
    "cookie-over",
    "a Set-Cookie line over 8192 octets gets 502",
    `HTTP/1.1 200 OK\r\nSet-Cookie: ${"c".repeat(8181)}\r\nContent-Length: 0\r\n\r\n`,
    { status: 502 },
  ),
  response(
    "cookie-limit",
    "a Set-Cookie line of 8192 octets passes",
    `HTTP/1.1 200 OK\r\nSet-Cookie: ${"c".repeat(8180)}\r\nContent-Length: 0\r\n\r\n`,
    {},
  ),
  response(
    "header-limit",
    "a field line of 512 KiB passes",
    `HTTP/1.1 200 OK\r\nX: ${"h".repeat(524_285)}\r\nContent-Length: 0\r\n\r\n`,
    {},
  ),
  response(
    "header-over",
    "a field line over 512 KiB gets 502",
    `HTTP/1.1 200 OK\r\nX: ${"h".repeat(524_286)}\r\nContent-Length: 0\r\n\r\n`,
    { status: 502 },
  ),
  response(
    "length-different",
    "different Content-Lengths get 502",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    { status: 502 },
  ),
  response(
    "length-list",
    "a list of lengths gets 502",
    "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab",
    { status: 502 },
  ),
  response(
    "length-digits",
    "a length that is not digits gets 502",
    "HTTP/1.1 200 OK\r\nContent-Length: 2a\r\n\r\nab",
    { status: 502 },
  ),
  response(
    "length-equal",
    "an equal Content-Length twice is folded",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    { client: [/\r\n\r\nhi$/], clientNot: [/content-length[\s\S]*content-length/i] },
  ),
  response(
    "chunked-and-length",
    "chunked with a length is relayed as chunked",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    {
      client: [/\r\nTransfer-Encoding: chunked\r\n/i, /\r\n2\r\nhi\r\n0\r\n\r\n$/],
      clientNot: [/content-length/i],
    },
  ),
  response(
    "bare-lf",
    "bare LF line ends are accepted and do not pass",
    "HTTP/1.1 200 OK\nX: 1\nContent-Length: 2\n\nhi",
    { client: [/\r\nX: 1\r\n/, /\r\n\r\nhi$/], clientNot: [/[^\r]\n/] },
  ),
  response(
    "trailers",
    "trailers are relayed",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
    { client: [/\r\n0\r\nX-Sum: 7\r\n\r\n$/] },
  ),
  response(
    "close-delimited",
    "an answer delimited by close is accepted",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    { client: [/until the end/], closes: true },
    { answerThenClose: true },
  ),
  response(
    "head-length",
    "a Content-Length of HEAD is relayed without body",
    "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
    { client: [/\r\nContent-Length: 5000\r\n[\s\S]*\r\n\r\n$/i] },
    { send: head("HEAD") },
  ),
  response(
    "head-chunked",
    "chunked in an answer to HEAD is relayed without body",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    { client: [/\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n$/i], clientNot: [/\r\n0\r\n/] },
    { send: head("HEAD") },
  ),
  response("204", "204 passes", "HTTP/1.1 204 No Content\r\n\r\n", { status: 204 }),
  response(
    "304",
    "304 with a length has no body",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
    { status: 304, client: [/\r\nContent-Length: 77\r\n/i] },
  ),
  response(
    "103",
    "103 is relayed with its fields",
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${DEFAULT_ANSWER}`,
    { client: [/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200/] },
  ),
  response("102", "102 is relayed", `HTTP/1.1 102 Processing\r\n\r\n${DEFAULT_ANSWER}`, {
    client: [/^HTTP\/1\.1 102 Processing\r\n\r\n/],
  }),
  response(
    "100-unasked",
    "an unasked 100 passes to a 1.1 client",
    `HTTP/1.1 100 Continue\r\n\r\n${DEFAULT_ANSWER}`,
    { client: [/^HTTP\/1\.1 100 Continue\r\n/] },
  ),
  response(
    "100-close",
    "Connection: close on a 100 is ignored",
    `HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n${DEFAULT_ANSWER}`,
    { clientNot: [/close/] },
  ),
  response(
    "1xx-http10",
    "no 1xx to a 1.0 client",
    `HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${DEFAULT_ANSWER}`,
    { client: [/^HTTP\/1\.1 200/], closes: true },
    { send: head("GET", "1.0") },
  ),
  response(
    "1xx-flood",
    "more than 16 interim answers get 502",
    "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17) + DEFAULT_ANSWER,
    { status: 502 },
  ),
  response(
    "101-unasked",
    "an unasked 101 is no tunnel",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    { status: 503 },
  ),
  response(
    "101-other",
    "a 101 for another protocol is no tunnel",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    { status: 503 },
    { send: head("GET", "1.1", "Connection: Upgrade", "Upgrade: websocket") },
  ),
  response(
    "http10-chunked",
    "a chunked answer is unchunked for a 1.0 client",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    { client: [/\r\n\r\nhi$/], clientNot: [/transfer-encoding/i], closes: true },
    { send: head("GET", "1.0") },
  ),
  response(
    "http10-close",
    "a 1.0 client without keep-alive is closed",
    DEFAULT_ANSWER,
    { client: [/^HTTP\/1\.1 200/], closes: true },
    { send: head("GET", "1.0") },
  ),
  response(
    "http10-keep-alive",
    "keep-alive of a 1.0 client is honoured",
    DEFAULT_ANSWER,
    { client: [/\r\nConnection: keep-alive\r\n/i], closes: false },
    { send: head("GET", "1.0", "Connection: keep-alive") },
  ),
  response(
    "close-of-app",
    "an app that closes does not cost the client its connection",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
    { client: [/hi$/], clientNot: [/close/i], closes: false },
    { answerThenClose: true },
  ),
  response(
    "close-of-client",
    "Connection: close of the client is honoured",
    DEFAULT_ANSWER,
    { client: [/\r\nConnection: close\r\n/i], closes: true },
    { send: head("GET", "1.1", "Connection: close") },
  ),
  response(
    "truncated-length",
    "a truncated answer cuts the client",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    { client: [/abc$/], closes: true },
    { answerThenClose: true },
  ),
  response(
    "truncated-chunked",
    "a truncated chunked answer has no last chunk",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    { clientNot: [/\r\n0\r\n/], closes: true },
    { answerThenClose: true },
  ),
  response(
    "none",
    "an app that closes without an answer is asked once",
    "",
    { status: 503, requests: 1 },
    { answerThenClose: true },
  ),
  response(
    "none-post",
    "a POST that an app closes on is never sent again",
    "",
    { status: 503, requests: 1 },
    {
      send: [`${lines("POST / HTTP/1.1", HOST, "Content-Length: 3")}abc`],
      answerThenClose: true,
    },
  ),
  response(
    "http10-backend",
    "an HTTP/1.0 answer is delimited by close",
    "HTTP/1.0 200 OK\r\n\r\nold",
    { client: [/^HTTP\/1\.1 200 OK\r\n/, /old/] },
    { answerThenClose: true },
  ),
  response(
    "stray-octets",
    "octets after a complete answer never reach a client",
    `${DEFAULT_ANSWER}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
    { client: [/hi$/], clientNot: [/poison/] },
  ),
];
