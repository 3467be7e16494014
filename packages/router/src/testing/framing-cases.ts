import { lines, type ProxyCase, type ProxyExpectation } from "./case.ts";

const HOST = "Host: {host}";
const CHUNKED = "Transfer-Encoding: chunked";

function bad(id: string, title: string, basis: string, send: string, status = 400): ProxyCase {
  return {
    id: `framing/${id}`,
    title,
    basis,
    send: [send],
    expect: { status, reaches: false, closes: true },
  };
}

function good(
  id: string,
  title: string,
  send: string | readonly string[],
  expect: Partial<ProxyExpectation> = {},
): ProxyCase {
  return {
    id: `framing/${id}`,
    title,
    basis: "R9112 §6",
    send: typeof send === "string" ? [send] : send,
    expect: { status: 200, reaches: true, ...expect },
  };
}

/** A chunked body that is refused after the head may have gone on; the app never sees a complete body. */
function badChunk(id: string, title: string, body: string): ProxyCase {
  return {
    id: `framing/${id}`,
    title,
    basis: "R9112 §7.1",
    send: [lines("POST / HTTP/1.1", HOST, CHUNKED) + body],
    expect: {
      status: 400,
      reaches: true,
      backendNot: [/\r\n0\r\n\r\n$/],
      closes: true,
      requests: 0,
    },
  };
}

const post = (...fields: readonly string[]) => lines("POST / HTTP/1.1", HOST, ...fields);

/** Framing of requests (spec/router.md §5). */
export const FRAMING_CASES: readonly ProxyCase[] = [
  bad(
    "length-and-coding",
    "Content-Length with Transfer-Encoding is refused",
    "R9112 §6.1",
    `${post("Content-Length: 5", CHUNKED)}0\r\n\r\n`,
  ),
  bad(
    "coding-and-length",
    "Transfer-Encoding with Content-Length is refused",
    "R9112 §6.1",
    `${post(CHUNKED, "Content-Length: 5")}0\r\n\r\n`,
  ),
  good(
    "equal-lengths",
    "an equal Content-Length twice is folded into one",
    `${post("Content-Length: 2", "Content-Length: 2")}ab`,
    {
      backend: [/\r\nContent-Length: 2\r\n/i, /\r\n\r\nab$/],
      backendNot: [/content-length[\s\S]*content-length/i],
    },
  ),
  bad(
    "different-lengths",
    "different Content-Lengths are refused",
    "R9112 §6.3",
    `${post("Content-Length: 2", "Content-Length: 3")}abc`,
  ),
  bad(
    "length-list",
    "a list of lengths is refused",
    "R9112 §6.3",
    `${post("Content-Length: 5, 5")}abcde`,
  ),
  ...["+5", "-1", "0x5", "5_0", "", "5 5", "five", "5.0", "\u00b2"].map((value, i) =>
    bad(
      `length-invalid-${i}`,
      `Content-Length ${JSON.stringify(value)} is refused`,
      "R9110 §8.6",
      `${post(`Content-Length: ${value}`)}abcde`,
    ),
  ),
  bad(
    "length-vt",
    "a vertical tab around a length is refused",
    "R9110 §8.6",
    `${post("Content-Length: \x0b5")}abcde`,
  ),
  bad(
    "length-too-large",
    "a length over 2^53-1 gets 413",
    "R9110 §8.6",
    post("Content-Length: 9007199254740993"),
    413,
  ),
  bad(
    "coding-unknown",
    "an unknown transfer coding gets 501",
    "R9112 §6.1",
    post("Transfer-Encoding: gzip"),
    501,
  ),
  bad(
    "coding-gzip-chunked",
    "gzip, chunked gets 501",
    "R9112 §6.1",
    post("Transfer-Encoding: gzip, chunked"),
    501,
  ),
  bad(
    "coding-identity",
    "identity gets 501",
    "R9112 §6.1",
    post("Transfer-Encoding: identity"),
    501,
  ),
  bad(
    "coding-not-last",
    "chunked that is not last is refused",
    "R9112 §6.1",
    post("Transfer-Encoding: chunked, gzip"),
  ),
  bad(
    "coding-repeated",
    "chunked twice is refused",
    "R9112 §6.1",
    post("Transfer-Encoding: chunked, chunked"),
  ),
  bad("coding-two-lines", "chunked in two lines is refused", "R9112 §6.1", post(CHUNKED, CHUNKED)),
  bad(
    "coding-quoted",
    "a quoted coding is refused",
    "R9112 §6.1",
    post('Transfer-Encoding: "chunked"'),
  ),
  bad(
    "coding-empty",
    "an empty list of codings is refused",
    "R9112 §6.1",
    post("Transfer-Encoding: "),
  ),
  bad("coding-commas", "a list of commas is refused", "R9112 §6.1", post("Transfer-Encoding: ,")),
  bad(
    "coding-in-10",
    "Transfer-Encoding in HTTP/1.0 is refused",
    "R9112 §6.1",
    `${lines("POST / HTTP/1.0", HOST, CHUNKED)}0\r\n\r\n`,
  ),
  good(
    "coding-case",
    "chunked in any letter case, with white space around, passes",
    `${post("Transfer-Encoding: \t CHUNKED ")}2\r\nab\r\n0\r\n\r\n`,
    { backend: [/\r\nTransfer-Encoding: chunked\r\n/i, /\r\n2\r\nab\r\n0\r\n\r\n$/] },
  ),
  good(
    "no-framing",
    "a request without framing has no body, whatever the method",
    `${post()}${lines("GET /next HTTP/1.1", HOST)}`,
    {
      requests: 2,
      backend: [/GET \/next/],
      backendNot: [
        /POST [\s\S]*transfer-encoding[\s\S]*GET/i,
        /POST [\s\S]*content-length[\s\S]*GET/i,
      ],
    },
  ),
  ...["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"].flatMap((method) => [
    good(
      `body-length-${method}`,
      `${method} with a length is relayed with its body`,
      `${lines(`${method} / HTTP/1.1`, HOST, "Content-Length: 3")}abc`,
      {
        backend: [/\r\ncontent-length: 3\r\n/i, /\r\n\r\nabc$/],
        backendNot: [/transfer-encoding/i, /content-length[\s\S]*content-length/i],
        ...(method === "HEAD" ? { clientNot: [/hi$/] } : {}),
      },
    ),
    good(
      `body-chunked-${method}`,
      `${method} with chunks is relayed with its body`,
      `${lines(`${method} / HTTP/1.1`, HOST, CHUNKED)}3\r\nabc\r\n0\r\n\r\n`,
      {
        backend: [/\r\ntransfer-encoding: chunked\r\n/i, /\r\n3\r\nabc\r\n0\r\n\r\n$/],
        backendNot: [/content-length/i, /transfer-encoding[\s\S]*transfer-encoding/i],
      },
    ),
  ]),
  badChunk("chunk-size-empty", "an empty chunk size is refused", "\r\nabc\r\n0\r\n\r\n"),
  badChunk("chunk-size-sign", "a signed chunk size is refused", "+3\r\nabc\r\n0\r\n\r\n"),
  badChunk("chunk-size-minus", "a negative chunk size is refused", "-3\r\nabc\r\n0\r\n\r\n"),
  badChunk("chunk-size-0x", "0x before a chunk size is refused", "0x3\r\nabc\r\n0\r\n\r\n"),
  badChunk(
    "chunk-size-underscore",
    "an underscore in a chunk size is refused",
    "1_0\r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-size-space-before",
    "a space before a chunk size is refused",
    " 3\r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-size-space-after",
    "a space after a chunk size is refused",
    "3 \r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-size-tab-after",
    "a tab after a chunk size is refused",
    "3\t\r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-size-digits",
    "a chunk size of 17 digits is refused",
    "00000000000000003\r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-size-huge",
    "a chunk size that cannot be counted is refused",
    "ffffffffffffffff\r\nabc",
  ),
  badChunk("chunk-size-lf", "a size line ended by LF is refused", "3\nabc\r\n0\r\n\r\n"),
  badChunk("chunk-size-cr", "a size line ended by CR is refused", "3\rabc\r\n0\r\n\r\n"),
  badChunk(
    "chunk-data-long",
    "chunk data that is longer than its size is refused",
    "3\r\nabcd\r\n0\r\n\r\n",
  ),
  badChunk("chunk-data-lf", "chunk data followed by LF is refused", "3\r\nabc\n0\r\n\r\n"),
  badChunk(
    "chunk-data-cr",
    "chunk data followed by CR and more is refused",
    "3\r\nabc\rx0\r\n\r\n",
  ),
  badChunk(
    "chunk-extension-long",
    "a chunk extension over 1 KiB is refused",
    `3;${"e".repeat(1025)}\r\nabc\r\n0\r\n\r\n`,
  ),
  badChunk(
    "chunk-extension-control",
    "a control octet in a chunk extension is refused",
    "3;a=\x01\r\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-extension-lf",
    "a chunk extension ended by LF is refused",
    "3;a\nabc\r\n0\r\n\r\n",
  ),
  badChunk(
    "chunk-extensions-total",
    "chunk extensions over 16 KiB in total are refused",
    `${`1;${"e".repeat(1000)}\r\na\r\n`.repeat(17)}0\r\n\r\n`,
  ),
  badChunk(
    "trailer-space",
    "a space before the colon of a trailer is refused",
    "0\r\nX : 1\r\n\r\n",
  ),
  badChunk("trailer-fold", "a folded trailer is refused", "0\r\nX: 1\r\n 2\r\n\r\n"),
  badChunk("trailer-lf", "a trailer ended by LF is refused", "0\r\nX: 1\n\r\n"),
  badChunk(
    "trailer-many",
    "65 trailer fields are refused",
    `0\r\n${Array.from({ length: 65 }, (_, i) => `X-${i}: 1\r\n`).join("")}\r\n`,
  ),
  badChunk(
    "trailer-large",
    "a trailer section over 16 KiB is refused",
    `0\r\n${Array.from({ length: 3 }, (_, i) => `X-${i}: ${"t".repeat(8000)}\r\n`).join("")}\r\n`,
  ),
  good(
    "chunk-extension",
    "a chunk extension is accepted and never forwarded",
    `${post(CHUNKED)}3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n`,
    { backend: [/\r\n3\r\nabc\r\n0\r\n\r\n$/], backendNot: [/;/] },
  ),
  good(
    "chunk-size-zeros",
    "leading zeros and any letter case in a chunk size are accepted",
    `${post(CHUNKED)}000A\r\n0123456789\r\n000\r\n\r\n`,
    { backend: [/\r\na\r\n0123456789\r\n0\r\n\r\n$/i] },
  ),
  good(
    "trailers",
    "trailers are relayed",
    `${post(CHUNKED, "Trailer: X-Sum")}3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n`,
    { backend: [/\r\n0\r\nX-Sum: 9\r\n\r\n$/] },
  ),
  good(
    "trailers-forbidden",
    "forbidden trailer names are dropped",
    `${post(CHUNKED)}0\r\nContent-Length: 5\r\nHost: evil.test\r\nAuthorization: x\r\nCookie: a=b\r\nX-Forwarded-For: 6.6.6.6\r\nTransfer-Encoding: chunked\r\nX-Ok: 1\r\n\r\n`,
    { backend: [/\r\n0\r\nX-Ok: 1\r\n\r\n$/], backendNot: [/evil|6\.6\.6\.6/] },
  ),
  {
    id: "framing/truncated-last-chunk",
    title: "a last chunk without its final CRLF, then FIN, is not complete",
    basis: "R9112 §8",
    send: [`${post(CHUNKED)}3\r\nabc\r\n0\r\n`, null],
    expect: {
      status: "none",
      reaches: true,
      backendNot: [/\r\n0\r\n\r\n$/],
      closes: true,
      requests: 0,
    },
  },
  {
    id: "framing/truncated-length",
    title: "a body shorter than its length, then FIN, is not complete",
    basis: "R9112 §8",
    send: [`${post("Content-Length: 5")}abc`, null],
    expect: { status: "none", reaches: true, closes: true, requests: 0 },
  },
  good(
    "octets-after",
    "octets after a complete message are the next request",
    `${post("Content-Length: 3")}abc${lines("GET /next HTTP/1.1", HOST)}`,
    { requests: 2, backend: [/GET \/next HTTP\/1\.1/] },
  ),
  good(
    "octets-after-chunked",
    "octets after a chunked message are the next request",
    `${post(CHUNKED)}3\r\nabc\r\n0\r\n\r\n${lines("GET /next HTTP/1.1", HOST)}`,
    { requests: 2, backend: [/GET \/next HTTP\/1\.1/] },
  ),
  good("zero-length", "a length of 0 passes as such", post("Content-Length: 0"), {
    backend: [/\r\ncontent-length: 0\r\n/i],
  }),
  good(
    "zero-padded-length",
    "leading zeros of a length do not matter",
    `${post("Content-Length: 003")}abc`,
    { backend: [/\r\ncontent-length: 0*3\r\n/i, /abc$/] },
  ),
];
