import { createServer } from "node:http";
import { connect } from "node:net";
import { PROXY_CASES } from "@dynokit/router/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Head } from "../src/codec/head.ts";
import { REQUEST_LIMITS, RESPONSE_LIMITS } from "../src/codec/head-limits.ts";
import { NEED_MORE, REFUSED } from "../src/codec/head-verdicts.ts";
import { isFault, readRequest } from "../src/codec/request.ts";
import { decode, RULES, readWhole, requestOctets } from "./support/request-octets.ts";

interface Read {
  result: "more" | "refused" | "complete";
  rule: string | null;
  text: string;
  fields: [string, string][];
  rest: string;
}

function readHead(kind: "request" | "response", pieces: readonly Buffer[]): Read {
  const head = new Head();
  head.reset(
    kind,
    kind === "request" ? REQUEST_LIMITS : RESPONSE_LIMITS,
    kind === "request" ? {} : { bareLf: true, obsFold: true },
  );
  for (const [i, piece] of pieces.entries()) {
    const next = head.execute(piece, 0);
    if (next === NEED_MORE) continue;
    if (next === REFUSED)
      return { result: "refused", rule: head.fault?.rule ?? null, text: "", fields: [], rest: "" };
    const fields: [string, string][] = [];
    for (let k = 0; k < head.count; k++) fields.push([head.name(k), head.value(k)]);
    const rest = Buffer.concat([piece.subarray(next), ...pieces.slice(i + 1)]).toString("latin1");
    const meaning = kind === "request" ? readRequest(head, RULES) : null;
    return {
      result: "complete",
      rule: isFault(meaning) ? meaning.rule : null,
      text: head.text,
      fields,
      rest,
    };
  }
  return { result: "more", rule: null, text: "", fields: [], rest: "" };
}

function cut(octets: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set(at.map((n) => n % (octets.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const point of [...points, octets.length]) {
    // Copies, because a folded line is joined in place.
    if (point > from) pieces.push(Buffer.from(octets.subarray(from, point)));
    from = point;
  }
  return pieces;
}

const requests = [
  ...new Set(PROXY_CASES.flatMap((row) => row.send).filter((piece) => typeof piece === "string")),
]
  .map((piece) =>
    Buffer.from(piece.replaceAll("{host}", "app.test").replaceAll("{HOST}", "APP.TEST"), "latin1"),
  )
  .filter((octets) => octets.length < 600);
const responses = [
  ...new Set(PROXY_CASES.map((row) => row.answer).filter((answer) => answer !== undefined)),
]
  .map((answer) => Buffer.from(answer, "latin1"))
  .filter((octets) => octets.length < 600);

describe("a head reads the same for every division of its octets", () => {
  test("two pieces, at every octet position, for every case of the kit", () => {
    for (const [kind, list] of [
      ["request", requests],
      ["response", responses],
    ] as const)
      for (const octets of list) {
        const whole = readHead(kind, [Buffer.from(octets)]);
        for (let at = 1; at < octets.length; at++)
          expect(
            readHead(kind, cut(octets, [at])),
            `${JSON.stringify(octets.toString("latin1"))} at ${at}`,
          ).toEqual(whole);
      }
  });

  test("one octet at a time", () => {
    for (const [kind, list] of [
      ["request", requests],
      ["response", responses],
    ] as const)
      for (const octets of list) {
        const single = cut(octets, Array.from(octets.keys()));
        expect(readHead(kind, single)).toEqual(readHead(kind, [Buffer.from(octets)]));
      }
  });

  const noise = fc.constantFrom(
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    "a",
    "GET",
    " / ",
    "HTTP/1.1",
    "Host: app.test",
    "\0",
    "\x7f",
    "é",
    ",",
    "0",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "\r\n\r\n",
    "X: y\r\n",
  );
  test("any octets, any division", () => {
    fc.assert(
      fc.property(
        fc.array(noise, { maxLength: 40 }),
        fc.array(fc.nat(400), { maxLength: 8 }),
        fc.constantFrom("request" as const, "response" as const),
        (words, at, kind) => {
          const octets = Buffer.from(
            (kind === "request" ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n") + words.join(""),
            "latin1",
          );
          expect(readHead(kind, cut(octets, at))).toEqual(readHead(kind, [Buffer.from(octets)]));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("lines and heads at their limits", () => {
    for (const text of [
      `GET /${"a".repeat(8192 - 14)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      `GET /${"a".repeat(8193 - 14)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      `GET / HTTP/1.1\r\nX: ${"a".repeat(8189)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nX: ${"a".repeat(8190)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nX: ${"a".repeat(8190)}\0\r\n\r\n`,
      `GET / HTTP/1.1\r\nX: \0${"a".repeat(8190)}\r\n\r\n`,
      `GET / HTTP/1.1\r\n${`X: ${"a".repeat(8000)}\r\n`.repeat(17)}\r\n`,
    ]) {
      const octets = Buffer.from(text, "latin1");
      const whole = readHead("request", [octets]);
      for (const at of [
        1,
        100,
        8190,
        8191,
        8192,
        8193,
        8194,
        8195,
        8207,
        8208,
        8209,
        8210,
        octets.length - 3,
        octets.length - 2,
        octets.length - 1,
      ])
        expect(readHead("request", cut(octets, [at])), `at ${at}`).toEqual(whole);
    }
  });
});

describe("chunked bodies", () => {
  test("what was encoded is decoded, for every division", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 6 }),
        fc.array(fc.nat(500), { maxLength: 8 }),
        fc.constantFrom("", "X: 1\r\n"),
        (parts, at, trailer) => {
          const body = parts
            .map(
              (part) =>
                `${part.length.toString(16)};e\r\n${Buffer.from(part).toString("latin1")}\r\n`,
            )
            .join("");
          const octets = Buffer.from(`${body}0\r\n${trailer}\r\nNEXT`, "latin1");
          const result = decode(cut(octets, at));
          expect(result).toEqual({
            data: parts.map((part) => Buffer.from(part).toString("latin1")).join(""),
            end: "done",
            rest: "NEXT",
          });
        },
      ),
    );
  });

  test("any octets give the same data and faults for every division", () => {
    const noise = fc.constantFrom(
      "\r\n",
      "\n",
      "\r",
      "0",
      "3",
      "a",
      "F",
      ";",
      " ",
      "x=y",
      "abc",
      "0\r\n\r\n",
      "\0",
      "X: 1\r\n",
    );
    fc.assert(
      fc.property(
        fc.array(noise, { maxLength: 30 }),
        fc.array(fc.nat(100), { maxLength: 6 }),
        (words, at) => {
          const octets = Buffer.from(words.join(""), "latin1");
          expect(decode(cut(octets, at))).toEqual(decode([octets]));
        },
      ),
      { numRuns: 3000 },
    );
  });
});

/**
 * What llhttp (node:http) refuses and this codec accepts, each with the reason. Nothing else may
 * be accepted here and refused there.
 */
const ALLOWED_DIFFERENCES: { reason: string; test(octets: string): boolean }[] = [
  {
    reason: "llhttp knows a fixed list of methods; any token is a method (R9110 §9.1)",
    test: (text) => !/^(?:\r\n)*(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) /.test(text),
  },
  {
    reason: "node:http answers 417 to an empty Expect, which is no expectation (spec/router.md §7)",
    test: (text) => /\r\nExpect:\r\n/.test(text),
  },
  {
    reason: "llhttp refuses a length that is repeated; equal ones are one (R9112 §6.3)",
    test: (text) => (text.match(/\r\nContent-Length:/gi) ?? []).length > 1,
  },
  {
    reason:
      "llhttp reads the grammar of chunk extensions; here they are any text of a line, and never go on (R9112 §7.1.1)",
    test: (text) => /\r\n[0-9A-F]+;[^\r\n]*\r\n/i.test(text),
  },
  {
    reason:
      "llhttp takes a tab around a coding or length for a part of it; it is white space (R9110 §5.6.3)",
    test: (text) =>
      /\r\n(?:Content-Length|Transfer-Encoding):(?: *\t|[^\r\n]*\t *\r\n)/i.test(text),
  },
  {
    reason: "a higher minor of version 1 is 1.1 (R9110 §2.5)",
    test: (text) => / HTTP\/1\.[2-9]\r\n/.test(text),
  },
];

describe("beside node:http", () => {
  // A server that says what its parser made of the octets.
  const server = createServer(
    { requireHostHeader: false, keepAlive: false },
    (request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk.toString("latin1")));
      request.on("end", () =>
        response.end(JSON.stringify({ method: request.method, url: request.url, body })),
      );
      request.on("error", () => {});
    },
  );
  server.on("clientError", (_error, socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n"));
  server.on("connect", (_request, socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n"));
  server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n{}"));
  server.on("checkContinue", (_request, response) => response.end("{}"));
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  function llhttp(octets: Buffer): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" });
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        socket.end();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
      socket.end(octets);
    });
  }

  test("what is accepted here and refused by llhttp is on the list of allowed differences", async () => {
    await fc.assert(
      fc.asyncProperty(requestOctets, async (octets) => {
        const mine = readWhole(octets);
        if (mine === null) return;
        const text = octets.toString("latin1");
        const theirs = await llhttp(octets);
        if (/^HTTP\/1\.1 200/.test(theirs)) {
          const content = theirs
            .slice(theirs.indexOf("\r\n\r\n") + 4)
            .replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, "");
          const seen = JSON.parse(Buffer.from(content || "{}", "latin1").toString("utf8"));
          if (seen.method !== undefined)
            expect({ method: seen.method, asSent: seen.url, body: seen.body }, text).toEqual({
              method: mine.method,
              asSent: mine.asSent,
              body: mine.body,
            });
          return;
        }
        expect(
          ALLOWED_DIFFERENCES.some((row) => row.test(text)),
          `${JSON.stringify(text)} → ${JSON.stringify(theirs.slice(0, 60))}`,
        ).toBe(true);
      }),
      // DYNOKIT_SOAK=1 compares fifty times as many requests.
      { numRuns: process.env["DYNOKIT_SOAK"] === "1" ? 30_000 : 600 },
    );
  });
});
