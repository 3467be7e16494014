import { FAILURES, ROUTER_ERROR_CODES, Router, RouterError, RouteTable } from "@dynokit/router";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bareValue, escapeValue, formatLine } from "../src/access-log/line.ts";
import { LogWriter } from "../src/access-log/writer.ts";
import { negotiate } from "../src/failures/pages.ts";
import { closeFrame, FrameTracker } from "../src/forward/frames.ts";
import { RateLimiter } from "../src/forward/rate.ts";
import { RequestIds } from "../src/forward/request-ids.ts";
import { AppRoute } from "../src/table/app-route.ts";
import { Backend } from "../src/table/backend.ts";
import { choose } from "../src/table/balance.ts";
import { parseAppRoute, resolveSettings } from "../src/table/settings.ts";
import { Timed, TimerWheel } from "../src/time/wheel.ts";
import {
  cannedBackend,
  exchange,
  FakeClock,
  get,
  OK,
  RawClient,
  rawBackend,
  rig,
} from "./support/harness.ts";

const RECORD = {
  at: "info",
  code: null,
  desc: null,
  method: "GET",
  path: "/",
  host: "app.test",
  requestId: "r",
  fwd: "1.2.3.4",
  dyno: "web.1",
  connectMs: 0,
  serviceMs: 5,
  status: 200,
  bytes: 7,
  protocol: "http1.1",
  tlsVersion: "",
  sock: null,
  cause: null,
  agent: null,
  extra: "",
} as const;

describe("the access log", () => {
  test("keys stand in Heroku's order", () => {
    expect(formatLine(RECORD)).toBe(
      'at=info method=GET path="/" host=app.test request_id=r fwd="1.2.3.4" dyno=web.1 connect=0ms service=5ms status=200 bytes=7 protocol=http1.1 tls=false',
    );
    expect(
      formatLine({
        ...RECORD,
        at: "error",
        code: "H18",
        desc: "Server Request Interrupted",
        dyno: "",
        connectMs: -1,
        serviceMs: -1,
        status: 0,
        tlsVersion: "tls1.2",
        sock: "backend",
        cause: "x",
        agent: "a",
        extra: " sent=200",
      }),
    ).toBe(
      'at=error code=H18 desc="Server Request Interrupted" method=GET path="/" host=app.test request_id=r fwd="1.2.3.4" dyno= connect= service= status= bytes=7 protocol=http1.1 tls=true tls_version=tls1.2 sock=backend cause="x" agent="a" sent=200',
    );
  });

  test("client text is escaped", () => {
    expect(escapeValue('a"b\\c')).toBe('a\\"b\\\\c');
    expect(escapeValue("\0\x1f\x7f")).toBe("\\x00\\x1f\\x7f");
    expect(escapeValue(Buffer.from("é€😀").toString("latin1"))).toBe("é€😀");
    expect(escapeValue("\xff\xc3")).toBe("\\xff\\xc3");
    expect(escapeValue("\xc2\x85")).toBe("\\xc2\\x85");
    expect(escapeValue("a".repeat(3000))).toBe(`${"a".repeat(2048)}…`);
    expect(bareValue("a b")).toBe('"a b"');
  });

  test("one request is one line and no key can be forged, whatever the client sends", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ maxLength: 60 }),
        (path, host) => {
          const line = formatLine({
            ...RECORD,
            path: Buffer.from(path).toString("latin1"),
            host: Buffer.from(host).toString("latin1"),
          });
          expect(line).not.toMatch(/[\0-\x1f\x7f-\x9f\u2028\u2029]/);
          expect(line.replace(/"(?:[^"\\]|\\.)*"/g, "_").match(/ status=/g)).toHaveLength(1);
          expect(line.replace(/"(?:[^"\\]|\\.)*"/g, "_")).toMatch(
            /^at=info method=GET path=_ host=\S* request_id=r fwd=_ dyno=web\.1 connect=0ms service=5ms status=200 bytes=7 protocol=http1\.1 tls=false$/,
          );
        },
      ),
    );
  });

  test("a sink that is slow or broken never stops traffic; losses are counted", async () => {
    const clock = new FakeClock();
    const writer = new LogWriter(
      {
        write: () => {
          throw new Error("broken");
        },
      },
      clock,
    );
    writer.write("app", "x");
    await writer.flush();
    expect(writer.dropped).toBe(1);
    let release = () => {};
    const seen: string[] = [];
    const slow = new LogWriter(
      {
        write: (batch) => {
          seen.push(...batch.lines.map(String));
          return new Promise((resolve) => (release = resolve));
        },
      },
      clock,
    );
    slow.write("app", "first");
    await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 10_005; i++) slow.write("app", "more");
    expect(slow.dropped).toBe(5);
    release();
    while (seen.length === 1) await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toHaveLength(10_002);
    expect(seen.at(-1)).toMatch(/dropped=5/);
    release();
    await slow.flush();
  });
});

describe("pages", () => {
  test.each([
    [undefined, "text"],
    ["*/*", "text"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "html"],
    ["application/json", "json"],
    ["application/problem+json", "problem"],
    ["text/html;q=0.5, application/json", "json"],
    ["image/png", "text"],
    ["application/json;q=0, */*", "text"],
  ])("Accept %s gives %s", (accept, format) => expect(negotiate(accept)).toBe(format));

  test("each format carries code and request id, never the request; HEAD has fields only", async () => {
    const { port } = await rig([]);
    const id = "q".repeat(24);
    const html = await exchange(port, get("/<script>", "Accept: text/html", `X-Request-Id: ${id}`));
    expect(html).toMatch(
      /\r\nContent-Type: text\/html; charset=utf-8\r\nCache-Control: no-cache, no-store\r\nX-Router-Error: H14\r\n/,
    );
    expect(html).toMatch(/Application error \(H14\)[\s\S]*qqqq/);
    expect(html).not.toMatch(/<script>|web\.|127\.0/);
    const json = await exchange(port, get("/", "Accept: application/json", `X-Request-Id: ${id}`));
    expect(JSON.parse(json.slice(json.indexOf("\r\n\r\n")))).toEqual({
      id: "service_unavailable",
      code: "H14",
      message: "No web processes running",
      request_id: id,
    });
    const head = new RawClient(port).write(
      "HEAD / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n",
    );
    expect(await head.end()).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*Content-Length: [1-9][\s\S]*\r\n\r\n$/,
    );
  });

  test("an app's own pages are served inline with the right status", async () => {
    const { port, routes } = await rig([], {
      pages: { error: "<b>mine</b>", maintenance: "<i>soon</i>" },
    });
    expect(await exchange(port, get("/", "Accept: text/html"))).toMatch(
      /^HTTP\/1\.1 503 [\s\S]*<b>mine<\/b>$/,
    );
    routes.patch("app", { maintenance: { retryAfterSeconds: 7, bypassCookie: "let-me-in-now" } });
    expect(await exchange(port, get("/", "Accept: text/html"))).toMatch(
      /Retry-After: 7\r\n[\s\S]*<i>soon<\/i>$/,
    );
    expect(await exchange(port, get("/", "Cookie: maintenance-bypass=let-me-in-now"))).toMatch(
      /H14/,
    );
  });
});

describe("the route table", () => {
  test("exact names win over wildcards, and a wildcard covers one label", () => {
    const routes = new RouteTable();
    routes.set("wild", { hosts: ["*.example.com"] });
    routes.set("exact", {
      hosts: ["WWW.Example.com."],
      redirects: { "old.example.com": "www.example.com" },
    });
    expect(routes.resolve("www.example.com:80")?.app.id).toBe("exact");
    expect(routes.resolve("a.example.com")?.app.id).toBe("wild");
    expect(routes.resolve("a.b.example.com")).toBeUndefined();
    expect(routes.resolve(".example.com")).toBeUndefined();
    expect(routes.resolve("old.example.com")).toMatchObject({
      kind: "redirect",
      host: "www.example.com",
    });
    routes.delete("exact");
    expect(routes.resolve("www.example.com")?.app.id).toBe("wild");
  });

  test("what is wrong with a setting is said, and nothing changes", () => {
    const routes = new RouteTable();
    routes.set("a", { hosts: ["a.test"] });
    const code = (run: () => void) => {
      try {
        run();
      } catch (error) {
        expect(RouterError.is(error)).toBe(true);
        expect(ROUTER_ERROR_CODES).toContain((error as RouterError).code);
        return (error as RouterError).code;
      }
      return null;
    };
    expect(code(() => routes.set("b", { hosts: ["b.test", "a.test"] }))).toBe("host-taken");
    expect(routes.resolve("b.test")).toBeUndefined();
    expect(code(() => routes.set("b", { hosts: ["not a host"] }))).toBe("invalid-host");
    expect(code(() => routes.set("b", { timeouts: { idleMs: -1 } }))).toBe("invalid-option");
    expect(code(() => routes.set("b", { hsots: [] } as never))).toBe("invalid-option");
    expect(code(() => routes.set("b", { access: { allow: ["10.0.0.0/33"] } }))).toBe(
      "invalid-option",
    );
    expect(code(() => routes.patch("nobody", {}))).toBe("unknown-app");
    expect(code(() => new Router({ routes, timeouts: { headMs: 0 } }))).toBe("invalid-option");
  });

  test("patch keeps what it does not name, set does not", () => {
    const routes = new RouteTable();
    routes.set("a", { hosts: ["a.test"], concurrency: 3, timeouts: { idleMs: 5 } });
    routes.patch("a", { maintenance: true, timeouts: { firstByteMs: 6 } });
    expect(routes.get("a")?.settings).toMatchObject({
      concurrency: 3,
      maintenance: true,
      timeouts: { idleMs: 5, firstByteMs: 6 },
    });
    routes.set("a", { hosts: ["a.test"] });
    expect(routes.get("a")?.settings).toMatchObject({
      concurrency: Number.POSITIVE_INFINITY,
      maintenance: false,
    });
  });

  test("tables that share a sync see each other's changes", () => {
    const receivers = new Set<(message: never) => void>();
    const sync = {
      connect: (receive: (message: never) => void) => {
        receivers.add(receive);
        return {
          send: (message: unknown) => {
            for (const other of receivers)
              if (other !== receive) other(JSON.parse(JSON.stringify(message)) as never);
          },
          close: () => void receivers.delete(receive),
        };
      },
    };
    const one = new RouteTable({ sync: sync as never });
    const two = new RouteTable({ sync: sync as never });
    one.set("a", { hosts: ["a.test"], backends: [{ address: { host: "127.0.0.1", port: 1 } }] });
    expect(two.resolve("a.test")?.app.up[0]?.address).toEqual({ host: "127.0.0.1", port: 1 });
    one.setBackend("a", { id: "d", dyno: "web.2", state: "up", address: { socketPath: "/x" } });
    expect(two.get("a")?.up).toHaveLength(2);
    one.delete("a");
    expect(two.resolve("a.test")).toBeUndefined();
    one.close();
    two.close();
    expect(receivers.size).toBe(0);
  });
});

describe("choosing a dyno", () => {
  function app(options: object, count: number) {
    const route = new AppRoute("app", resolveSettings("app", parseAppRoute("app", options)));
    for (let i = 0; i < count; i++) {
      const backend = new Backend(`id-${i}`, `web.${i + 1}`, 1);
      backend.state = "up";
      route.backends.set(backend.id, backend);
    }
    route.refresh();
    return route;
  }
  const base = { now: 1000, random: () => 0.3, tried: [], hashKey: null };

  test("p2c takes the less loaded of two, a tie the quicker", () => {
    const route = app({}, 2);
    (route.up[0] as Backend).inFlight = 1;
    expect(choose(route, base)).toBe(route.up[1]);
    (route.up[1] as Backend).inFlight = 1;
    (route.up[0] as Backend).firstByteMs = 9;
    expect(choose(route, base)).toBe(route.up[1]);
  });

  test("round-robin takes turns, random follows the source, least-requests the load", () => {
    const turns = app({ balance: "round-robin" }, 3);
    expect([1, 2, 3, 4].map(() => (choose(turns, base) as Backend).dyno)).toEqual([
      "web.1",
      "web.2",
      "web.3",
      "web.1",
    ]);
    const random = app({ balance: "random" }, 4);
    expect((choose(random, { ...base, random: () => 0.99 }) as Backend).dyno).toBe("web.4");
    const least = app({ balance: "least-requests" }, 3);
    for (const [i, backend] of least.up.entries()) backend.inFlight = [4, 1, 2][i] as number;
    expect((choose(least, base) as Backend).dyno).toBe("web.2");
  });

  test("hash keeps a key on its dyno, moves few keys when one goes, and bounds the load", () => {
    const route = app({ balance: { hash: "header", name: "x-user" } }, 5);
    const keys = Array.from({ length: 500 }, (_, i) => `user-${i}`);
    const at = (key: string) => (choose(route, { ...base, hashKey: key }) as Backend).id;
    const before = keys.map(at);
    expect(keys.map(at)).toEqual(before);
    const gone = route.up[2] as Backend;
    gone.state = "draining";
    route.refresh();
    const moved = keys.filter((key, i) => at(key) !== before[i]);
    expect(moved.length).toBe(before.filter((id) => id === gone.id).length);
    const busy = choose(route, { ...base, hashKey: "k" }) as Backend;
    busy.inFlight = 50;
    expect(choose(route, { ...base, hashKey: "k" })).not.toBe(busy);
  });

  test("quarantined, ejected, tried and full dynos are left out, in that order of need", () => {
    const route = app({ concurrency: 1 }, 3);
    const [a, b, c] = route.up as [Backend, Backend, Backend];
    a.connectFailed(1000, "refused");
    b.ejectedUntil = 5000;
    expect(choose(route, base)).toBe(c);
    c.inFlight = 1;
    expect(choose(route, base)).toBe(b);
    b.inFlight = 1;
    expect(choose(route, base)).toBe(a);
    a.inFlight = 1;
    expect(choose(route, base)).toBe("full");
    expect(choose(route, { ...base, tried: [a, b, c] })).toBe("none");
  });

  test("quarantine lasts 5 s and doubles up to 60 s", () => {
    const backend = new Backend("a", "web.1", 1);
    backend.state = "up";
    let now = 0;
    const spans: number[] = [];
    for (let i = 0; i < 6; i++) {
      backend.connectFailed(now, "refused");
      spans.push(backend.quarantinedUntil - now);
      now = backend.quarantinedUntil;
    }
    expect(spans).toEqual([5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    backend.connected();
    expect(backend.isGood(now)).toBe(true);
  });

  test("no choice ever falls on a dyno that is not up", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            state: fc.constantFrom("booting", "up", "draining", "crashed"),
            inFlight: fc.nat(3),
            ejected: fc.boolean(),
            weight: fc.double({ min: 0.1, max: 5, noNaN: true }),
          }),
          { maxLength: 6 },
        ),
        fc.constantFrom("p2c", "random", "round-robin", "least-requests"),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (rows, balance, random) => {
          const route = app({ balance, concurrency: 3 }, 0);
          for (const [i, row] of rows.entries()) {
            const backend = new Backend(`${i}`, `web.${i}`, row.weight);
            backend.state = row.state as never;
            backend.inFlight = row.inFlight;
            backend.ejectedUntil = row.ejected ? 9999 : 0;
            route.backends.set(backend.id, backend);
          }
          route.refresh();
          const chosen = choose(route, { ...base, random: () => random });
          const free = rows.some((row) => row.state === "up" && row.inFlight < 3);
          if (typeof chosen === "string") expect(free).toBe(false);
          else expect([chosen.state, chosen.inFlight < 3]).toEqual(["up", true]);
        },
      ),
    );
  });
});

describe("session affinity", () => {
  test("a session stays with its dyno, the cookie is not shown to the app, and a lost dyno is a miss", async () => {
    const one = await cannedBackend("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    const two = await cannedBackend("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    const backends = [one, two].map((backend, i) => ({
      id: `d${i}`,
      dyno: `web.${i + 1}`,
      address: { host: "127.0.0.1", port: backend.port },
    }));
    const { port, line, routes } = await rig([], {
      affinity: true,
      balance: "round-robin",
      backends,
    });
    const first = await exchange(port, get());
    const cookie = /Set-Cookie: (affinity=[^;]+); Path=\/; HttpOnly; SameSite=Lax\r\n/.exec(
      first,
    )?.[1] as string;
    expect(cookie).not.toMatch(/127\.|web\.|^d\d$/);
    for (let i = 0; i < 4; i++) {
      const text = await exchange(port, get("/", `Cookie: a=b; ${cookie}`));
      expect(text).toMatch(/one$/);
      expect(text).not.toMatch(/Set-Cookie/);
    }
    expect(one.received.join("")).toMatch(/\r\nCookie: a=b\r\n/);
    expect(one.received.join("")).not.toMatch(/affinity/);
    routes.patch("app", { backends: backends.slice(1) });
    expect(await exchange(port, get("/", `Cookie: ${cookie}`))).toMatch(
      /Set-Cookie: affinity=[\s\S]*two$/,
    );
    expect(await line(/affinity=miss/)).toMatch(/dyno=web\.2/);
    expect(await exchange(port, get("/", "Cookie: affinity=1.forged"))).toMatch(/Set-Cookie/);
  });
});

describe("who is the client", () => {
  test("trusted hops name the client; access rules and rates look at it", async () => {
    const backend = await cannedBackend(OK);
    const { port, routes, line } = await rig(
      [backend.port],
      { access: { deny: ["198.51.100.0/24"] } },
      { trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] },
    );
    expect(
      await exchange(
        port,
        get("/", "X-Forwarded-For: 198.51.100.9, 10.1.1.1", "X-Forwarded-Proto: https"),
      ),
    ).toMatch(/^HTTP\/1\.1 403 /);
    expect(await line()).toMatch(
      /at=info .* fwd="198\.51\.100\.9, 10\.1\.1\.1, 127\.0\.0\.1" .* status=403 .* cause="acl"/,
    );
    expect(
      await exchange(port, get("/", "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https")),
    ).toMatch(/hi$/);
    expect(backend.received[0]).toMatch(/X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n/);
    routes.patch("app", { access: { allow: ["203.0.113.0/24"] } });
    expect(await exchange(port, get("/", "X-Forwarded-For: 203.0.113.77"))).toMatch(/hi$/);
    expect(await exchange(port, get("/", "X-Forwarded-For: 203.0.114.77"))).toMatch(/ 403 /);
    routes.set("app", {
      hosts: ["app.test"],
      backends: [{ address: { host: "127.0.0.1", port: backend.port } }],
      rate: { perSecond: 0.1, burst: 1 },
    });
    expect(await exchange(port, get("/", "X-Forwarded-For: 192.0.2.50"))).toMatch(/hi$/);
    expect(await exchange(port, get("/", "X-Forwarded-For: 192.0.2.50"))).toMatch(
      /^HTTP\/1\.1 429 [\s\S]*Retry-After: 10\r\n/,
    );
    expect(await exchange(port, get("/", "X-Forwarded-For: 192.0.2.51"))).toMatch(/hi$/);
  });

  test("xff: replace forgets what clients claim; claims can be dropped", async () => {
    const backend = await cannedBackend(OK);
    const { port } = await rig(
      [backend.port],
      {},
      { xff: "replace", dropUntrustedForwarded: true },
    );
    await exchange(
      port,
      get(
        "/",
        "X-Forwarded-For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "X-Forwarded-Host: evil",
      ),
    );
    expect(backend.received[0]).toMatch(/X-Forwarded-For: 127\.0\.0\.1\r\n/);
    expect(backend.received[0]).not.toMatch(/6\.6\.6\.6|evil/);
  });
});

describe("router options", () => {
  test("compat heroku: chunked wins over a length, the connection ends after the answer", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("0\r\n\r\n")) socket.write(OK);
    });
    const { port } = await rig([backend.port], {}, { compat: "heroku" });
    const client = new RawClient(port).write(
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    );
    expect(await client.end()).toMatch(/^HTTP\/1\.1 200 [\s\S]*Connection: close\r\n/);
    expect(backend.received[0]).not.toMatch(/content-length/i);
  });

  test("strict report: soft rules pass in normalised form and are counted", async () => {
    const backend = await cannedBackend(OK);
    const { port, line, router } = await rig([backend.port], {}, { strict: "report" });
    await exchange(
      port,
      "GET  /\xe9 HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\nX: a\r\n b\r\n\r\n",
    );
    expect(backend.received[0]).toMatch(
      /^GET \/\xe9 HTTP\/1\.1\r\nHost: app\.test\r\nX: a {3}b\r\n/,
    );
    expect(backend.received[0]?.match(/Host:/g)).toHaveLength(1);
    expect(await line()).toMatch(/at=info .* lint=/);
    expect(router.metrics()).toMatch(/router_lint_total\{app="app",rule="[a-z-]+"\} 1/);
    expect(
      await exchange(
        port,
        "GET / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      ),
    ).toMatch(/^HTTP\/1\.1 400/);
  });

  test("pathPolicy, allowTrace, redirects, echo, camel case, ACME challenges", async () => {
    const backend = await cannedBackend(OK);
    const { port } = await rig(
      [backend.port],
      { redirects: { "old.test": "app.test" }, fieldCase: "camel", maintenance: false },
      {
        pathPolicy: "reject-ambiguous",
        allowTrace: false,
        echoRequestId: true,
        via: "edge",
        requestIdField: "Trace-Id",
        acmeChallenge: (token) => (token === "t1" ? "t1.key" : undefined),
      },
    );
    for (const path of ["/a//b", "/a/../b", "/%2e/x", "/a%2Fb", "/a\\b"])
      expect(await exchange(port, get(path)), path).toMatch(/^HTTP\/1\.1 400/);
    expect(
      await exchange(port, get("/ok?a=//..", "x-lower-case: 1", `trace-id: ${"z".repeat(20)}`)),
    ).toMatch(/X-Request-Id: z{20}\r\n[\s\S]*Via: 1\.1 edge\r\n/);
    expect(backend.received[0]).toMatch(/X-Lower-Case: 1\r\n/);
    expect(backend.received[0]).toMatch(/\r\nTrace-Id: z{20}\r\n/);
    expect(await exchange(port, "TRACE / HTTP/1.1\r\nHost: app.test\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 405/,
    );
    expect(await exchange(port, "GET /x?y HTTP/1.1\r\nHost: old.test\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 301 [\s\S]*Location: http:\/\/app\.test\/x\?y\r\n/,
    );
    expect(
      await exchange(port, "POST /x HTTP/1.1\r\nHost: old.test\r\nContent-Length: 0\r\n\r\n"),
    ).toMatch(/^HTTP\/1\.1 308 /);
    expect(await exchange(port, get("/.well-known/acme-challenge/t1"))).toMatch(/t1\.key$/);
  });

  test("echoRequestId replaces an id that the app set, and only that field", async () => {
    const backend = await cannedBackend(
      "HTTP/1.1 200 OK\r\nx-request-id: app-1\r\nX-Other: 1\r\nX-Request-ID: app-2\r\nContent-Length: 2\r\n\r\nhi",
    );
    const id = "q".repeat(20);
    const echoing = await rig([backend.port], {}, { echoRequestId: true });
    const answer = await exchange(echoing.port, get("/", `X-Request-Id: ${id}`));
    expect(answer.match(/x-request-id: .*/gi)).toEqual([`X-Request-Id: ${id}`]);
    expect(answer).toMatch(/\r\nX-Other: 1\r\n/);
    const plain = await rig([backend.port]);
    expect((await exchange(plain.port, get())).match(/x-request-id: .*/gi)).toEqual([
      "x-request-id: app-1",
      "X-Request-ID: app-2",
    ]);
  });

  test("continue: end-to-end passes Expect and the app's 100 without its fields; lazy waits for a backend", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("\r\n\r\n") && text.includes("Expect"))
        socket.write("HTTP/1.1 100 Continue\r\nX-Drop: 1\r\n\r\n");
      if (text.endsWith("abc")) socket.write(OK);
    });
    const { port, routes } = await rig([backend.port], { continue: "end-to-end" });
    const post =
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    const client = new RawClient(port).write(post);
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    client.write("abc");
    expect(await client.until(/hi$/)).not.toMatch(/X-Drop/);
    routes.patch("app", { continue: "lazy" });
    const lazy = new RawClient(port).write(post);
    await lazy.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    lazy.write("abc");
    await lazy.until(/hi$/);
    routes.patch("app", { backends: [{ address: { host: "127.0.0.1", port: 1 } }] });
    expect(await exchange(port, post)).toMatch(/^HTTP\/1\.1 503 /);
  });

  test("UNIX sockets serve and are served", async () => {
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const { createServer } = await import("node:net");
    const directory = mkdtempSync(join(tmpdir(), "dynokit-router-"));
    const server = createServer((socket) => socket.on("data", () => socket.write(OK)));
    await new Promise<void>((resolve) => server.listen(join(directory, "dyno.sock"), resolve));
    const { port } = await rig([], {
      backends: [{ address: { socketPath: join(directory, "dyno.sock") } }],
    });
    const client = new RawClient(port).write(get("/", "Connection: close"));
    expect(await client.end()).toMatch(/hi$/);
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
});

describe("small parts", () => {
  test("every failure has Heroku's code as its key", () => {
    for (const [code, failure] of Object.entries(FAILURES)) expect(failure.code).toBe(code);
  });

  test("the timer wheel fires each limit once, not early, at most a tick late", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            ms: fc.integer({ min: 1, max: 200_000 }),
            again: fc.option(fc.integer({ min: 1, max: 200_000 })),
            drop: fc.boolean(),
          }),
          { maxLength: 20 },
        ),
        (rows) => {
          const clock = new FakeClock();
          const wheel = new TimerWheel(clock, 100);
          const fired = new Map<number, number>();
          class Entry extends Timed {
            readonly index: number;
            constructor(index: number) {
              super();
              this.index = index;
            }
            override onDeadline() {
              expect(fired.has(this.index)).toBe(false);
              fired.set(this.index, clock.monotonic());
            }
          }
          const start = clock.monotonic();
          const due = new Map<number, number>();
          for (const [i, row] of rows.entries()) {
            const entry = new Entry(i);
            wheel.set(entry, row.ms);
            if (row.again !== null) wheel.set(entry, row.again);
            if (row.drop) wheel.remove(entry);
            else due.set(i, start + (row.again ?? row.ms));
          }
          clock.advance(400_000);
          expect([...fired.keys()].sort()).toEqual([...due.keys()].sort());
          for (const [i, at] of fired) {
            expect(at).toBeGreaterThanOrEqual(due.get(i) as number);
            expect(at - (due.get(i) as number)).toBeLessThanOrEqual(200);
          }
          expect(wheel.size).toBe(0);
          expect(clock.pending).toBe(0);
        },
      ),
    );
  });

  test("frame borders are found for every division", () => {
    const frame = (payload: number, masked: boolean, opcode = 2) => {
      const head =
        payload < 126
          ? [payload]
          : payload < 65_536
            ? [126, payload >> 8, payload & 255]
            : [127, 0, 0, 0, 0, 0, payload >> 16, (payload >> 8) & 255, payload & 255];
      head[0] = (head[0] as number) | (masked ? 128 : 0);
      return Buffer.concat([
        Buffer.from([0x80 | opcode, ...head]),
        masked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0),
        Buffer.alloc(payload),
      ]);
    };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 1, 125, 126, 300, 70_000), fc.boolean()), {
          maxLength: 4,
        }),
        fc.array(fc.nat(80_000), { maxLength: 6 }),
        (frames, cuts) => {
          const octets = Buffer.concat(frames.map(([size, masked]) => frame(size, masked)));
          const tracker = new FrameTracker();
          let from = 0;
          for (const to of [
            ...cuts.map((cut) => cut % (octets.length + 1)).sort((a, b) => a - b),
            octets.length,
          ]) {
            tracker.feed(octets.subarray(from, to));
            from = to;
          }
          expect(tracker.atBoundary).toBe(true);
        },
      ),
    );
    const tracker = new FrameTracker();
    tracker.feed(closeFrame(1001));
    expect(tracker.closeCode).toBe(1001);
  });

  test("token buckets fill with time", () => {
    const limiter = new RateLimiter();
    const rate = { perSecond: 2, burst: 2 };
    expect([
      limiter.take("a", rate, 0),
      limiter.take("a", rate, 0),
      limiter.take("a", rate, 0),
      limiter.take("b", rate, 0),
    ]).toEqual([0, 0, 1, 0]);
    expect(limiter.take("a", rate, 500)).toBe(0);
  });
});

test("request ids are random UUIDs of version 4", () => {
  const ids = new RequestIds();
  const seen = new Set(Array.from({ length: 1000 }, () => ids.next()));
  expect(seen.size).toBe(1000);
  for (const id of seen)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
