import { Router, RouteTable } from "@dynokit/router";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { parseProxyHeader } from "../src/listen/proxy-header.ts";
import { cannedBackend, OK, RawClient } from "./support/harness.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";

async function proxied(options: object = {}) {
  const backend = await cannedBackend(OK);
  const routes = new RouteTable();
  routes.set("app", {
    hosts: ["app.test"],
    backends: [{ address: { host: "127.0.0.1", port: backend.port } }],
  });
  const router = new Router({ routes });
  const { port } = await router.listen({
    host: "127.0.0.1",
    proxyProtocol: "required",
    ...options,
  });
  onTestFinished(() => router.close({ drainMs: 0 }).then(() => routes.close()));
  return { port, backend };
}

const v2 = (command: number, family: number, body: Buffer) => {
  const head = Buffer.from("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\0", "latin1");
  head[12] = 0x20 | command;
  head[13] = family;
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, body]);
};

test("version 1 names the client and the public port", async () => {
  const { port, backend } = await proxied();
  const client = new RawClient(port).write(
    `PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n${REQUEST}`,
  );
  await client.until(/hi$/);
  expect(backend.received[0]).toMatch(
    /X-Forwarded-For: 192\.0\.2\.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 443\r\n/,
  );
});

test("version 2 names an IPv6 client, and TLS by its TLV", async () => {
  const { port, backend } = await proxied();
  const body = Buffer.concat([
    Buffer.from("20010db8000000000000000000000007", "hex"),
    Buffer.from("20010db8000000000000000000000001", "hex"),
    Buffer.from([0x0f, 0xa0, 0x01, 0xbb]),
    Buffer.from([0x20, 0, 5, 1, 0, 0, 0, 0]),
  ]);
  const client = new RawClient(port).write(v2(1, 0x21, body)).write(REQUEST);
  await client.until(/hi$/);
  expect(backend.received[0]).toMatch(
    /X-Forwarded-For: 2001:db8::7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n/,
  );
});

test("LOCAL and UNKNOWN keep the address of the socket", async () => {
  const { port, backend } = await proxied();
  await new RawClient(port)
    .write(v2(0, 0, Buffer.alloc(0)))
    .write(REQUEST)
    .until(/hi$/);
  await new RawClient(port).write(`PROXY UNKNOWN\r\n${REQUEST}`).until(/hi$/);
  expect(backend.received.join("").match(/X-Forwarded-For: 127\.0\.0\.1\r\n/g)).toHaveLength(2);
});

test("a connection without a header is closed without an answer", async () => {
  const { port, backend } = await proxied();
  expect(await new RawClient(port).write(REQUEST).end()).toBe("");
  expect(backend.received).toEqual([]);
});

test("a peer that may not send headers is closed", async () => {
  const { port } = await proxied({ proxyFrom: ["10.0.0.0/8"] });
  expect(await new RawClient(port).write(`PROXY UNKNOWN\r\n${REQUEST}`).end()).toBe("");
});

test("what is wrong with a header", () => {
  for (const text of [
    "PROXY TCP4 256.0.0.1 1.1.1.1 1 2\r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\n",
    "PROXY TCP5 1.1.1.1 1.1.1.1 1 2\r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    "PROXX ",
  ])
    expect(parseProxyHeader(Buffer.from(text)), text).toBe("bad");
  expect(parseProxyHeader(v2(2, 0x11, Buffer.alloc(12)))).toBe("bad");
  expect(parseProxyHeader(v2(1, 0x11, Buffer.alloc(4)))).toBe("bad");
});

test("every prefix of a header wants more, and any octets are answered without an exception", () => {
  const whole = v2(1, 0x11, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 10]));
  for (let i = 0; i < whole.length; i++)
    expect(parseProxyHeader(whole.subarray(0, i))).toBe("more");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (octets, signed) => {
      const input = signed ? Buffer.concat([whole.subarray(0, 12), octets]) : Buffer.from(octets);
      const result = parseProxyHeader(input);
      if (typeof result !== "string") expect(result.length).toBeLessThanOrEqual(input.length);
    }),
  );
});
