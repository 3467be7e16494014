import { lines, type ProxyCase, type ProxyExpectation, type ProxyState } from "./case.ts";

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

function own(
  id: string,
  title: string,
  at: ProxyState,
  fields: readonly string[],
  expect: Partial<ProxyExpectation> & { readonly status: number },
  start = "GET /secret-path HTTP/1.1",
): ProxyCase {
  return {
    id: `own/${id}`,
    title,
    basis: "spec/router.md §18, §19",
    at,
    send: [lines(start, "Host: {host}", ...fields)],
    expect: { reaches: false, ...expect },
  };
}

/** Code, and what a client must read, of each state in which no dyno can be had. */
const CODES = [
  ["maintenance", "H80", "an app in maintenance"],
  ["crashed", "H10", "an app whose dynos crashed"],
  ["no-dynos", "H14", "an app without web dynos"],
  ["refused", "H21", "an app whose dyno refuses connections"],
] as const;

/**
 * Answers that the proxy makes itself. Each needs a host name in a certain state, so they are run
 * only where `describeProxy` is given those names.
 */
export const STATE_CASES: readonly ProxyCase[] = [
  ...CODES.flatMap(([at, code, who]): ProxyCase[] => [
    own(`${code}-fields`, `${who} is answered with ${code} and never cached`, at, [], {
      status: 503,
      client: [
        new RegExp(`\\r\\nX-Router-Error: ${code}\\r\\n`, "i"),
        /\r\nCache-Control: no-cache, no-store\r\n/i,
        new RegExp(`\\r\\nX-Request-Id: ${UUID}\\r\\n`, "i"),
        /\r\nDate: [^\r]+ GMT\r\n/,
      ],
      clientNot: [/secret-path|127\.0\.0\.1|web\.1/],
      closes: false,
    }),
    own(`${code}-html`, `${who}: a browser gets HTML`, at, ["Accept: text/html,*/*;q=0.8"], {
      status: 503,
      client: [/\r\nContent-Type: text\/html/i, /<html/i],
      clientNot: [/secret-path/],
    }),
    own(
      `${code}-json`,
      `${who}: a program that accepts JSON gets the code in it`,
      at,
      ["Accept: application/json", `X-Request-Id: ${"r".repeat(24)}`],
      {
        status: 503,
        client: [
          /\r\nContent-Type: application\/json/i,
          new RegExp(`"code":"${code}"`),
          /"request_id":"r{24}"/,
          /"message":"/,
          /"id":"/,
        ],
      },
    ),
    own(
      `${code}-head`,
      `${who}: HEAD gets the fields alone`,
      at,
      [],
      {
        status: 503,
        client: [new RegExp(`\\r\\nX-Router-Error: ${code}\\r\\n`, "i"), /\r\n\r\n$/],
        closes: false,
      },
      "HEAD / HTTP/1.1",
    ),
  ]),
  own(
    "problem",
    "problem+json is given to those who ask for it",
    "maintenance",
    ["Accept: application/problem+json"],
    { status: 503, client: [/\r\nContent-Type: application\/problem\+json/i, /"status":503/] },
  ),
  own(
    "quality",
    "the highest quality of Accept wins",
    "maintenance",
    ["Accept: text/html;q=0.2, application/json;q=0.9, text/plain;q=0.5"],
    { status: 503, client: [/\r\nContent-Type: application\/json/i] },
  ),
  own("anything", "a client that takes anything gets text", "maintenance", ["Accept: */*"], {
    status: 503,
    client: [/\r\nContent-Type: text\/plain/i],
    clientNot: [/<html/i],
  }),
  own("unknown-host", "a host that nobody has gets 404 without an H code", "unknown", [], {
    status: 404,
    client: [new RegExp(`\\r\\nX-Request-Id: ${UUID}\\r\\n`, "i")],
    clientNot: [/X-Router-Error: H|secret-path/i],
    closes: false,
  }),
  own(
    "unknown-host-json",
    "a host that nobody has gets JSON where that is accepted",
    "unknown",
    ["Accept: application/json"],
    { status: 404, client: [/\r\nContent-Type: application\/json/i, /"id":"no_such_app"/] },
  ),
  own(
    "unknown-host-upgrade",
    "an upgrade at a host that nobody has opens no tunnel",
    "unknown",
    ["Connection: Upgrade", "Upgrade: websocket"],
    { status: 404, clientNot: [/ 101 /] },
  ),
  own(
    "maintenance-10",
    "a 1.0 client is answered and closed",
    "maintenance",
    [],
    { status: 503, client: [/\r\nConnection: close\r\n/i], closes: true },
    "GET / HTTP/1.0",
  ),
];
