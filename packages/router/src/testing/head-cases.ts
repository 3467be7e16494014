import { lines, type ProxyCase, type ProxyExpectation } from "./case.ts";

const BAD: ProxyExpectation = { status: 400, reaches: false, closes: true };
const FINE: ProxyExpectation = { status: 200, reaches: true };

function refused(id: string, title: string, basis: string, send: string, status = 400): ProxyCase {
  return { id: `head/${id}`, title, basis, send: [send], expect: { ...BAD, status } };
}

function passes(
  id: string,
  title: string,
  basis: string,
  send: string,
  expect: Partial<ProxyExpectation> = {},
): ProxyCase {
  return { id: `head/${id}`, title, basis, send: [send], expect: { ...FINE, ...expect } };
}

const HOST = "Host: {host}";

/** Grammar, limits, host and target of a request head (spec/router.md §4). */
export const HEAD_CASES: readonly ProxyCase[] = [
  passes("plain", "a plain request passes", "R9112 §3", lines("GET / HTTP/1.1", HOST)),
  refused("bare-lf", "a bare LF as line end is refused", "R9112 §2.2", "GET / HTTP/1.1\nHost: {host}\n\n"),
  refused("bare-lf-in-fields", "a bare LF after a field is refused", "R9112 §2.2", "GET / HTTP/1.1\r\nHost: {host}\nX: 1\r\n\r\n"),
  refused("bare-cr", "a bare CR in a value is refused", "R9112 §2.2", "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\rb\r\n\r\n"),
  refused("bare-cr-target", "a bare CR in the request line is refused", "R9112 §2.2", "GET /\rx HTTP/1.1\r\nHost: {host}\r\n\r\n"),
  refused("nul", "NUL in a value is refused", "R9110 §5.5", "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"),
  refused("control", "a control octet in a value is refused", "R9110 §5.5", "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\x01b\r\n\r\n"),
  refused("delete", "DEL in a value is refused", "R9110 §5.5", "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\x7fb\r\n\r\n"),
  refused("space-before-colon", "a space before the colon is refused", "R9112 §5.1", lines("GET / HTTP/1.1", HOST, "X : 1")),
  refused("tab-before-colon", "a tab before the colon is refused", "R9112 §5.1", lines("GET / HTTP/1.1", HOST, "X\t: 1")),
  refused("space-before-field", "white space before the first field is refused", "R9112 §2.2", lines("GET / HTTP/1.1", " X: 1", HOST)),
  refused("obs-fold", "a folded line is refused", "R9112 §5.2", lines("GET / HTTP/1.1", HOST, "X: 1", " 2")),
  refused("obs-fold-tab", "a line folded by a tab is refused", "R9112 §5.2", lines("GET / HTTP/1.1", HOST, "X: 1", "\t2")),
  refused("no-colon", "a field line without colon is refused", "R9112 §5", lines("GET / HTTP/1.1", HOST, "X")),
  refused("empty-name", "an empty field name is refused", "R9112 §5", lines("GET / HTTP/1.1", HOST, ": 1")),
  refused("name-not-token", "a field name that is no token is refused", "R9112 §5", lines("GET / HTTP/1.1", HOST, "X(y): 1")),
  refused("name-high-octet", "a field name with an octet from 0x80 up is refused", "R9112 §5", lines("GET / HTTP/1.1", HOST, "X\xe9: 1")),
  refused("two-spaces", "two spaces in the request line are refused", "R9112 §3", lines("GET  / HTTP/1.1", HOST)),
  refused("two-spaces-version", "two spaces before the version are refused", "R9112 §3", lines("GET /  HTTP/1.1", HOST)),
  refused("tab-in-line", "a tab in the request line is refused", "R9112 §3", lines("GET\t/ HTTP/1.1", HOST)),
  refused("space-at-end", "a space after the version is refused", "R9112 §3", lines("GET / HTTP/1.1 ", HOST)),
  refused("leading-space", "a space before the method is refused", "R9112 §3", lines(" GET / HTTP/1.1", HOST)),
  refused("fragment", "a fragment in the target is refused", "R9112 §3.2", lines("GET /a#b HTTP/1.1", HOST)),
  refused("control-in-target", "a control octet in the target is refused", "R9112 §3.2", lines("GET /a\x01b HTTP/1.1", HOST)),
  refused("nul-in-target", "NUL in the target is refused", "R9112 §3.2", lines("GET /a\0b HTTP/1.1", HOST)),
  refused("high-in-target", "an octet from 0x80 up in the target is refused", "R9112 §3.2", lines("GET /\xc3\xa9 HTTP/1.1", HOST)),
  refused("no-version", "a request line without version is refused", "R9112 §3", lines("GET /", HOST)),
  refused("http09", "HTTP/0.9 is refused", "R9112 §3", "GET /\r\n"),
  refused("version-2", "HTTP/2.0 is answered with 505", "R9110 §15.6.6", lines("GET / HTTP/2.0", HOST), 505),
  refused("version-0", "HTTP/0.9 as a version is answered with 505", "R9110 §15.6.6", lines("GET / HTTP/0.9", HOST), 505),
  passes("version-1-2", "a higher minor of 1 is treated as 1.1", "R9110 §2.5", lines("GET / HTTP/1.2", HOST)),
  refused("version-lower-case", "a lower-case version is refused", "R9112 §2.3", lines("GET / http/1.1", HOST)),
  refused("version-two-digits", "HTTP/1.10 is refused", "R9112 §2.3", lines("GET / HTTP/1.10", HOST)),
  refused("version-leading-zero", "HTTP/01.1 is refused", "R9112 §2.3", lines("GET / HTTP/01.1", HOST)),
  refused("connect", "CONNECT is answered with 501", "R9110 §9.1", lines("CONNECT {host}:443 HTTP/1.1", HOST), 501),
  refused("method-too-long", "a method of 128 octets is refused", "Heroku", lines(`${"M".repeat(128)} / HTTP/1.1`, HOST)),
  passes("method-long", "a method of 127 octets passes", "Heroku", lines(`${"M".repeat(127)} / HTTP/1.1`, HOST)),
  passes("method-unknown", "an unknown method passes", "R9110 §9.1", lines("BREW /pot HTTP/1.1", HOST), { backend: [/^BREW \/pot HTTP\/1\.1\r\n/] }),
  refused("method-not-token", "a method that is no token is refused", "R9110 §9.1", lines("GE(T / HTTP/1.1", HOST)),
  passes("options-star", "OPTIONS * passes in asterisk-form", "R9112 §3.2.4", lines("OPTIONS * HTTP/1.1", HOST), { backend: [/^OPTIONS \* HTTP\/1\.1\r\n/] }),
  refused("star", "* with another method is refused", "R9112 §3.2.4", lines("GET * HTTP/1.1", HOST)),
  refused("client-hello", "a TLS ClientHello on a clear port gets 400", "R9110 §9.1", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
  refused("h2-preface", "the HTTP/2 preface on a clear port gets 505", "R9113 §3.3", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
  refused("proxy-line", "a PROXY line where it is off is refused", "PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
  passes("empty-lines", "up to four empty lines before a request are skipped", "R9112 §2.2", `\r\n\r\n\r\n\r\n${lines("GET / HTTP/1.1", HOST)}`, { backend: [/^GET \/ HTTP\/1\.1\r\n/] }),
  refused("five-empty-lines", "a fifth empty line is refused", "R9112 §2.2", `\r\n\r\n\r\n\r\n\r\n${lines("GET / HTTP/1.1", HOST)}`),
  passes("request-line-limit", "a request line of 8192 octets passes", "Heroku", lines(`GET /${"a".repeat(8192 - 14)} HTTP/1.1`, HOST)),
  refused("request-line-over", "a request line of 8193 octets gets 414", "Heroku", lines(`GET /${"a".repeat(8193 - 14)} HTTP/1.1`, HOST), 414),
  passes("field-line-limit", "a field line of 8192 octets passes", "Heroku", lines("GET / HTTP/1.1", HOST, `X: ${"a".repeat(8189)}`)),
  refused("field-line-over", "a field line of 8193 octets gets 431", "Heroku", lines("GET / HTTP/1.1", HOST, `X: ${"a".repeat(8190)}`), 431),
  passes("field-name-limit", "a field name of 1000 octets passes", "Heroku", lines("GET / HTTP/1.1", HOST, `${"n".repeat(1000)}: 1`)),
  refused("field-name-over", "a field name of 1001 octets gets 431", "Heroku", lines("GET / HTTP/1.1", HOST, `${"n".repeat(1001)}: 1`), 431),
  passes("fields-limit", "1000 fields pass", "Heroku", lines("GET / HTTP/1.1", HOST, ...Array.from({ length: 999 }, (_, i) => `X-${i}: 1`)), { backend: [/\r\nX-998: 1\r\n/] }),
  refused("fields-over", "1001 fields get 431", "Heroku", lines("GET / HTTP/1.1", HOST, ...Array.from({ length: 1000 }, (_, i) => `X-${i}: 1`)), 431),
  refused("head-over", "a head over 128 KiB gets 431", "dynokit", lines("GET / HTTP/1.1", HOST, ...Array.from({ length: 17 }, (_, i) => `X-${i}: ${"a".repeat(8000)}`)), 431),
  refused("no-host", "no Host is refused in 1.1", "R9112 §3.2", lines("GET / HTTP/1.1")),
  refused("no-host-10", "no Host is refused in 1.0", "Heroku", lines("GET / HTTP/1.0")),
  refused("no-host-absolute-10", "no Host is refused in 1.0 with a full URL too", "Heroku", lines("GET http://{host}/ HTTP/1.0")),
  refused("two-hosts", "Host twice is refused", "R9112 §3.2", lines("GET / HTTP/1.1", HOST, "Host: evil.test")),
  refused("two-equal-hosts", "Host twice is refused even if equal", "Heroku", lines("GET / HTTP/1.1", HOST, HOST)),
  refused("empty-host", "an empty Host is refused", "Heroku", lines("GET / HTTP/1.1", "Host:")),
  ...["a b", "a,b", "user@{host}", "{host}/x", "{host}\\x", "{host}?x", "{host}#x", "{host}:", "{host}:123456", "{host}:12a", "[::1", "::1", "{host}:80:80", "a".repeat(256)].map((host, i) =>
    refused(`host-invalid-${i}`, `Host ${JSON.stringify(host.slice(0, 20))} is refused`, "R9110 §7.2", lines("GET / HTTP/1.1", `Host: ${host}`)),
  ),
  passes("host-case", "the host matches in any letter case and goes on unchanged", "R9110 §4.2.3", lines("GET / HTTP/1.1", "Host: {HOST}"), { backend: [/\r\nHost: [^a-z\r]+\r\n/] }),
  passes("host-dot", "one trailing dot of the host does not matter", "R9110 §4.2.3", lines("GET / HTTP/1.1", "Host: {host}.")),
  passes("host-port", "a port in Host does not matter for the match", "R9110 §7.2", lines("GET / HTTP/1.1", "Host: {host}:8080"), { backend: [/\r\nHost: [^\r]+:8080\r\n/] }),
  { id: "head/unknown-host", title: "an unknown host gets 404", basis: "Heroku", send: [lines("GET / HTTP/1.1", "Host: no-such-host.invalid")], expect: { status: 404, reaches: false } },
  passes("absolute", "absolute-form with the same authority goes on as origin-form", "R9112 §3.2.2", lines("GET http://{host}/a?b HTTP/1.1", HOST), { backend: [/^GET \/a\?b HTTP\/1\.1\r\n/] }),
  passes("absolute-no-path", "absolute-form without a path becomes /", "R9112 §3.2.2", lines("GET http://{host} HTTP/1.1", HOST), { backend: [/^GET \/ HTTP\/1\.1\r\n/] }),
  passes("absolute-query", "absolute-form with a query only becomes /?", "R9112 §3.2.2", lines("GET http://{host}?q HTTP/1.1", HOST), { backend: [/^GET \/\?q HTTP\/1\.1\r\n/] }),
  refused("absolute-other", "absolute-form with another authority is refused", "R9112 §3.2.2", lines("GET http://evil.test/ HTTP/1.1", HOST)),
  refused("absolute-other-port", "absolute-form with another port is refused", "R9112 §3.2.2", lines("GET http://{host}:81/ HTTP/1.1", HOST)),
  refused("absolute-userinfo", "user information in the target is refused", "R9110 §4.2.4", lines("GET http://u@{host}/ HTTP/1.1", HOST)),
  refused("target-relative", "a target that is no form of R9112 is refused", "R9112 §3.2", lines("GET a/b HTTP/1.1", HOST)),
  passes("path-bytes", "path and query reach the app octet for octet", "R9110 §7.6", lines("GET //a/../b/./%2e%2F%zz?x=%00&y=[]|{}\\ HTTP/1.1", HOST), { backend: [/^GET \/\/a\/\.\.\/b\/\.\/%2e%2F%zz\?x=%00&y=\[\]\|\{\}\\ HTTP\/1\.1\r\n/] }),
  passes("value-obs-text", "octets from 0x80 up in a value pass unchanged", "R9110 §5.5", lines("GET / HTTP/1.1", HOST, "X: \xe9\xff"), { backend: [/\r\nX: \xe9\xff\r\n/] }),
  passes("names-as-sent", "names keep letter case, order and duplicates", "R9110 §5.3", lines("GET / HTTP/1.1", HOST, "x-B: 1", "X-a: 2", "x-b: 3"), { backend: [/\r\nx-B: 1\r\nX-a: 2\r\nx-b: 3\r\n/] }),
  passes("empty-value", "an empty value passes", "R9110 §5.5", lines("GET / HTTP/1.1", HOST, "X-Empty:"), { backend: [/\r\nX-Empty:\r\n/] }),
];
