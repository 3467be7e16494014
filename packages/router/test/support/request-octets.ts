/** Requests, good and bad, for comparing this codec with the parsers of others. */

import fc from "fast-check";
import { CHUNK_DATA, CHUNK_DONE, CHUNK_FAULT, ChunkDecoder } from "../../src/codec/chunked.ts";
import { Head } from "../../src/codec/head.ts";
import { REQUEST_LIMITS } from "../../src/codec/head-limits.ts";
import { CHUNKED, isFault, type RequestRules, readRequest } from "../../src/codec/request.ts";

export const RULES: RequestRules = {
  compat: "none",
  strict: "enforce",
  allowTrace: true,
  pathPolicy: "as-is",
};

/** Body data of chunked octets that come in pieces, and how they end. */
export function decode(pieces: readonly Buffer[]): {
  data: string;
  end: "more" | "done" | string;
  rest: string;
} {
  const decoder = new ChunkDecoder();
  let data = "";
  for (const [i, piece] of pieces.entries()) {
    let at = 0;
    for (;;) {
      const event = decoder.next(piece, at);
      at = decoder.position;
      if (event === CHUNK_DATA) data += piece.toString("latin1", decoder.start, decoder.end);
      else if (event === CHUNK_DONE)
        return {
          data,
          end: "done",
          rest: Buffer.concat([piece.subarray(at), ...pieces.slice(i + 1)]).toString("latin1"),
        };
      else if (event === CHUNK_FAULT) return { data: "", end: decoder.fault?.rule ?? "", rest: "" };
      else break;
    }
  }
  return { data, end: "more", rest: "" };
}

/** A request as a parser understood it. */
export interface WholeRequest {
  readonly method: string;
  /** Target in the form that goes on. */
  readonly target: string;
  readonly asSent: string;
  readonly body: string;
}

/** This codec's reading of exactly one request; null when it is refused, not complete, or more follows. */
export function readWhole(octets: Buffer): WholeRequest | null {
  const head = new Head();
  head.reset("request", REQUEST_LIMITS, {});
  const next = head.execute(Buffer.from(octets), 0);
  if (next < 0) return null;
  const meaning = readRequest(head, RULES);
  if (isFault(meaning)) return null;
  const rest = octets.subarray(next);
  const { method, target } = meaning;
  if (meaning.length !== CHUNKED) {
    const length = Math.max(0, meaning.length);
    if (rest.length !== length) return null;
    return { method, target, asSent: head.target, body: rest.toString("latin1") };
  }
  const body = decode([rest]);
  if (body.end !== "done" || body.rest !== "") return null;
  return { method, target, asSent: head.target, body: body.data };
}

const piece = fc.constantFrom(
  "X: 1",
  "X:",
  "x-a: b c",
  "Content-Length: 3",
  "Content-Length: 03",
  "Content-Length: 3, 3",
  "Content-Length: +3",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: Chunked",
  "transfer-encoding: chunked ",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: x",
  " folded",
  "X : 1",
  "X\0: 1",
  "X: \x01",
  "X: \xff",
  "Connection: close",
  "Connection: keep-alive, X",
  "Expect:",
  "Trailer: X",
);
const body = fc.constantFrom(
  "",
  "abc",
  "3\r\nabc\r\n0\r\n\r\n",
  "3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n",
  "3 \r\nabc\r\n0\r\n\r\n",
  "3\nabc\r\n0\r\n\r\n",
  "3\r\nabcX0\r\n\r\n",
  "0x3\r\nabc\r\n0\r\n\r\n",
  "0\r\n\r\n",
  "3\r\nabc\r\n0\r\n",
);
const line = fc.constantFrom(
  "GET / HTTP/1.1",
  "POST /a?b HTTP/1.1",
  "DELETE / HTTP/1.0",
  "GET  / HTTP/1.1",
  "GET / HTTP/1.2",
  "GET /#x HTTP/1.1",
  "BREW / HTTP/1.1",
  "get / HTTP/1.1",
  "GET / HTTP/2.0",
  "GET * HTTP/1.1",
  "OPTIONS * HTTP/1.1",
  "GET http://a/ HTTP/1.1",
  "GET /\x7f HTTP/1.1",
  "GET /\xe9 HTTP/1.1",
);
const end = fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r");

/** A line, up to four fields that may be broken, a body that may fit. */
const wild = fc
  .tuple(line, fc.array(fc.tuple(piece, end), { maxLength: 4 }), body)
  .map(([start, fields, content]) =>
    Buffer.from(
      `${start}\r\nHost: a\r\n${fields.map(([text, eol]) => text + eol).join("")}\r\n${content}`,
      "latin1",
    ),
  );

const framed = fc.constantFrom(
  ["", ""],
  ["Content-Length: 0\r\n", ""],
  ["Content-Length: 3\r\n", "abc"],
  ["Content-Length: 03\r\n", "abc"],
  ["Content-Length: 3\r\nContent-Length: 3\r\n", "abc"],
  ["Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"],
  ["Transfer-Encoding:  CHUNKED \r\n", "003\r\nabc\r\n1\r\nd\r\n00\r\n\r\n"],
  ["Transfer-Encoding: chunked\r\n", "A;a=b\r\n0123456789\r\n0\r\nT: 1\r\n\r\n"],
);

/** A request as it should be, in which one octet may be put, taken out or changed. */
const bent = fc
  .tuple(
    fc.constantFrom("GET / HTTP/1.1", "POST /a?b=%20 HTTP/1.1", "PUT //a/../b HTTP/1.1"),
    fc.subarray(["X: 1\r\n", "x-a:b c\t\r\n", "X:\r\n", "X: \xff\r\n", "Accept: */*\r\n"]),
    framed,
    fc.option(
      fc.record({
        at: fc.nat(400),
        cut: fc.nat(1),
        put: fc.constantFrom(...'\r\n\t \0\x0b\x7f\x80:;,0aZ"_-+', "", "\r\n", "\n\n", "0x"),
      }),
      { freq: 3 },
    ),
  )
  .map(([start, fields, [framing, content], change]) => {
    const text = `${start}\r\nHost: a\r\n${fields.join("")}${framing}\r\n${content}`;
    if (change === null) return Buffer.from(text, "latin1");
    const at = change.at % text.length;
    return Buffer.from(text.slice(0, at) + change.put + text.slice(at + change.cut), "latin1");
  });

/** One request for a parser: most are nearly right, the others may have several faults. */
export const requestOctets = fc.oneof(
  { weight: 3, arbitrary: bent },
  { weight: 1, arbitrary: wild },
);
