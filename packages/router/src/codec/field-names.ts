/** Field names that the engine treats specially, as small integers so that heads need no strings. */

const NAMES = [
  "",
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "te",
  "trailer",
  "upgrade",
  "expect",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-request-id",
  "x-request-start",
  "connect-time",
  "total-route-time",
  "x-queue-time",
  "x-forwarded-host",
  "x-forwarded-by",
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "early-data",
  "x-forwarded-peer-port",
  "x-request-deadline",
  "cookie",
  "authorization",
  "cache-control",
  "date",
  "set-cookie",
  "accept",
  "idempotency-key",
  "traceparent",
  "http2-settings",
  "www-authenticate",
  "proxy-authenticate",
  "set-cookie2",
  "content-type",
  "content-encoding",
  "content-range",
  "max-forwards",
  "age",
  "expires",
  "location",
  "retry-after",
  "vary",
  "warning",
  "pragma",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "x-router-error",
  "authentication-info",
  "proxy-authentication-info",
  "sec-websocket-key",
  "tracestate",
  "user-agent",
] as const;

/** Name of a field the engine knows. */
export type KnownField = (typeof NAMES)[number];

/** Number of known names, 0 (unknown) included. */
export const FIELD_COUNT = NAMES.length;

const byName = new Map<string, number>(NAMES.map((name, id) => [name, id]));

/** The integer of a known name. */
export function fieldId(name: KnownField): number {
  return byName.get(name) as number;
}

/** The integer of any lower-case name; 0 when the engine does not know it. */
export function lookupField(name: string): number {
  return byName.get(name) ?? 0;
}

// Candidates by length and first letter: most names find none and cost one array read.
const candidates: (readonly { readonly octets: Uint8Array; readonly id: number }[] | undefined)[] =
  new Array(64 * 32).fill(undefined);
for (const [id, name] of NAMES.entries()) {
  if (name === "") continue;
  const key = name.length * 32 + (name.charCodeAt(0) & 31);
  candidates[key] = [...(candidates[key] ?? []), { octets: Buffer.from(name), id }];
}

/** The integer of the name at `[start, end)`; letter case does not matter. */
export function identifyField(buffer: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > 63) return 0;
  const list = candidates[length * 32 + ((buffer[start] as number) & 31)];
  if (list === undefined) return 0;
  next: for (const { octets, id } of list) {
    for (let i = 0; i < length; i++)
      if (((buffer[start + i] as number) | 0x20) !== octets[i]) continue next;
    return id;
  }
  return 0;
}

/** Integers by name, for `switch` and index use on the hot path. */
export const F = {
  host: fieldId("host"),
  contentLength: fieldId("content-length"),
  transferEncoding: fieldId("transfer-encoding"),
  connection: fieldId("connection"),
  keepAlive: fieldId("keep-alive"),
  proxyConnection: fieldId("proxy-connection"),
  proxyAuthorization: fieldId("proxy-authorization"),
  te: fieldId("te"),
  trailer: fieldId("trailer"),
  upgrade: fieldId("upgrade"),
  expect: fieldId("expect"),
  via: fieldId("via"),
  xForwardedFor: fieldId("x-forwarded-for"),
  xRequestId: fieldId("x-request-id"),
  http2Settings: fieldId("http2-settings"),
  cookie: fieldId("cookie"),
  date: fieldId("date"),
  setCookie: fieldId("set-cookie"),
  accept: fieldId("accept"),
  idempotencyKey: fieldId("idempotency-key"),
  traceparent: fieldId("traceparent"),
  tracestate: fieldId("tracestate"),
  userAgent: fieldId("user-agent"),
  xForwardedProto: fieldId("x-forwarded-proto"),
  xForwardedPort: fieldId("x-forwarded-port"),
} as const;

function flags(names: readonly KnownField[]): Uint8Array {
  const table = new Uint8Array(FIELD_COUNT);
  for (const name of names) table[fieldId(name)] = 1;
  return table;
}

/** Removed from every request before the router's own are added (spec/router.md §6). */
export const DROP_FROM_REQUEST = flags([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "te",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "expect",
  "http2-settings",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-request-id",
  "x-request-start",
  "connect-time",
  "total-route-time",
  "x-queue-time",
  "x-request-deadline",
  "x-forwarded-peer-port",
  "early-data",
]);

/** Removed in addition when the listener drops what untrusted peers claim about the client. */
export const CLIENT_CLAIMS = flags([
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "x-forwarded-host",
  "x-forwarded-by",
]);

/** Removed from every response (spec/router.md §6). */
export const DROP_FROM_RESPONSE = flags([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "http2-settings",
  "proxy-authorization",
]);

/** Names whose underscore twins are dropped: CGI-style apps map both to one variable. */
export const OWNED = flags([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-host",
  "x-forwarded-by",
  "x-request-id",
  "x-request-start",
  "connect-time",
  "total-route-time",
  "x-queue-time",
  "x-request-deadline",
  "x-forwarded-peer-port",
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "early-data",
]);

/** `Connection` may not take these away (spec/router.md §6 rule 2). */
export const NOT_NOMINABLE = flags([
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-host",
  "x-forwarded-by",
  "x-request-id",
  "x-request-start",
  "connect-time",
  "total-route-time",
  "x-queue-time",
  "x-request-deadline",
  "x-forwarded-peer-port",
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "early-data",
  "cookie",
  "authorization",
  "cache-control",
]);

/** May not stand in a trailer section (R9110 §6.5.1); router-owned names included. */
export const NOT_IN_TRAILER = flags(
  NAMES.filter(
    (name) =>
      name !== "" &&
      name !== "authentication-info" &&
      name !== "proxy-authentication-info" &&
      name !== "x-router-error",
  ) as KnownField[],
);
