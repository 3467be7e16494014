import { once } from "node:events";
import * as http2 from "node:http2";
import { Duplex } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { cannedBackend, OK, rawBackend, rig } from "./support/harness.ts";

/** Two streams, each reading what the other writes. */
function pair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0])
    ends.push(
      new Duplex({
        allowHalfOpen: true,
        read() {},
        write(chunk, _encoding, done) {
          setImmediate(() => {
            (ends[other] as Duplex).push(chunk);
            done();
          });
        },
        final(done) {
          setImmediate(() => {
            (ends[other] as Duplex).push(null);
            done();
          });
        },
      }),
    );
  return ends as [Duplex, Duplex];
}

test("a pair of streams in memory is served like a connection", async () => {
  const backend = await cannedBackend(OK);
  const { router, line } = await rig([backend.port]);
  const [client, server] = pair();
  let text = "";
  client.on("data", (chunk) => {
    text += chunk;
  });
  router.accept(server, { address: "203.0.113.7", tls: true });
  client.write(
    "GET /one HTTP/1.1\r\nHost: app.test\r\n\r\nGET /two HTTP/1.1\r\nHost: app.test\r\n\r\n",
  );
  await expect.poll(() => text.match(/hi/g)?.length).toBe(2);
  expect(await line()).toMatch(
    /path="\/one" .* fwd="203\.0\.113\.7" .* tls=true tls_version=unknown/,
  );
  expect(backend.received[0]).toMatch(/X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n/);
  await router.close({ drainMs: 0 });
  expect(server.destroyed).toBe(true);
  expect(() => router.accept(pair()[0])).toThrow(/closed/);
});

test("a client that opens and resets streams without end loses its connection", async () => {
  const backend = await rawBackend(() => {});
  const { router, line } = await rig([backend.port]);
  const { port } = await router.listen({ host: "127.0.0.1", h2c: true });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const away = once(session, "goaway");
  const waiting = session.request({ ":path": "/wait", ":authority": "app.test" });
  waiting.on("error", () => {});
  await expect.poll(() => backend.received.join("")).toContain("/wait");
  let opened = 0;
  const again = () => {
    if (session.destroyed || session.closed || opened === 2000) return;
    for (let i = 0; i < 20 && !session.destroyed && !session.closed; i++, opened++) {
      const stream = session.request({ ":path": "/", ":authority": "app.test" });
      stream.on("error", () => {});
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    setImmediate(again);
  };
  again();
  const [code] = await away;
  expect(code).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(opened).toBeLessThan(2000);
  expect(await line(/path="\/wait"/)).toMatch(
    /at=error code=H33 .* status=503 .* protocol=http2\.0 .* cause="resets"/,
  );
  await expect.poll(() => router.inspect().inFlight).toBe(0);
});
