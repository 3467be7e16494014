import fc from "fast-check";
import { expect, test } from "vitest";
import {
  cannedBackend,
  FakeClock,
  get,
  OK,
  RawClient,
  rawBackend,
  rig,
} from "./support/harness.ts";

test("server-sent events hold for as long as one comes within each 55 s, whoever is silent", async () => {
  const clock = new FakeClock();
  const backend = await rawBackend((socket) => {
    socket.write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
  });
  const { port, line, router } = await rig([backend.port], {}, { clock });
  const client = new RawClient(port).write(get("/events"));
  await client.until(/\r\n\r\n$/);
  const [app] = backend.sockets;
  for (let i = 0; i < 12; i++) {
    clock.advance(54_000);
    app?.write(`a\r\ndata: ${i % 10}\n\n\r\n`.replace(/^a/, "9"));
    await client.until((text) => text.split("data: ").length === i + 2);
  }
  clock.advance(54_000);
  app?.write("0\r\n\r\n");
  expect(await client.until(/\r\n0\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(await line()).toMatch(/^at=info .* service=702000ms status=200 /);
  expect(router.inspect().inFlight).toBe(0);
});

test("a long poll may wait 30 s for its first octet, and 55 s more after each", async () => {
  const clock = new FakeClock();
  let asked = (_path: string) => {};
  const backend = await rawBackend((_socket, text) => asked(text));
  const { port, line } = await rig([backend.port], {}, { clock });
  const poll = async (path: string) => {
    const reached = new Promise<void>((resolve) => {
      asked = (text) => {
        if (text.includes(`GET ${path} `)) resolve();
      };
    });
    const client = new RawClient(port).write(get(path));
    await reached;
    return client;
  };
  const held = await poll("/held");
  clock.advance(29_500);
  const app = [...backend.sockets].at(-1);
  // White space keeps a poll alive, as apps do it.
  app?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
  await held.until(/\r\n\r\n$/);
  let sent = "";
  for (const octet of "  hi") {
    clock.advance(54_000);
    app?.write(octet);
    sent += octet;
    await held.until((text) => text.endsWith(`\r\n\r\n${sent}`));
  }
  expect(await held.until(/ {2}hi$/)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await line()).toMatch(/^at=info .* status=200 /);
  held.socket.destroy();
  const lost = await poll("/lost");
  clock.advance(30_100);
  expect(await lost.until(/\r\n\r\n/)).toMatch(/X-Router-Error: H12\r\n/);
  expect(await line()).toMatch(/ code=H12 /);
});

test("garbage from either side is answered or cut, and leaves nothing behind", async () => {
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets).toString("latin1")),
    fc
      .array(
        fc
          .constantFrom("HTTP/1.1 200 OK\r\n", "\r\n", "GET / HTTP/1.1\r\n", "Host: app.test\r\n")
          .chain((text) =>
            fc.constantFrom(
              text,
              text,
              "Content-Length: 5\r\n",
              "5\r\nabc",
              "\0",
              "0\r\n\r\n",
              "Transfer-Encoding: chunked\r\n",
            ),
          ),
        { maxLength: 8 },
      )
      .map((parts) => parts.join("")),
  );
  let answer = "";
  const odd = await rawBackend((socket) => {
    socket.end(Buffer.from(answer, "latin1"));
  });
  const plain = await cannedBackend(OK);
  const odds = await rig([odd.port], { ejectOn5xx: false }, { onError });
  const plains = await rig([plain.port], {}, { onError });
  await fc.assert(
    fc.asyncProperty(noise, async (text) => {
      answer = text;
      const client = new RawClient(odds.port).write(get("/", "Connection: close"));
      await client.end();
      client.socket.destroy();
      const rude = new RawClient(plains.port).write(text);
      rude.socket.end();
      await rude.end();
      rude.socket.destroy();
    }),
    { numRuns: 150 },
  );
  expect(errors).toEqual([]);
  for (const { router } of [odds, plains])
    await expect.poll(() => router.inspect()).toMatchObject({ inFlight: 0, timers: 0 });
});
