import * as http2 from "node:http2";
import { describe, expect, onTestFinished, test } from "vitest";
import { cannedBackend, FakeClock, OK, rawBackend, rig } from "./support/harness.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  frame,
  frames,
  HEADERS,
  PING,
  SETTINGS,
} from "./support/http2-frames.ts";

/** `POST http://app.test/`: indexed fields, and the authority as a literal. */
const POST = Buffer.concat([Buffer.of(0x83, 0x86, 0x84, 0x41, 8), Buffer.from("app.test")]);

async function h2c(backendPort: number, options: object = {}) {
  const made = await rig([backendPort], {}, { extraLogKeys: true, ...options });
  const { port } = await made.router.listen({ host: "127.0.0.1", h2c: true });
  return { ...made, port };
}

describe("floods of frames end the connection", () => {
  for (const [name, open, again] of [
    ["empty DATA", frame(HEADERS, END_HEADERS, 1, POST), frame(DATA, 0, 1)],
    ["CONTINUATION", frame(HEADERS, 0, 1, POST), frame(CONTINUATION, 0, 1)],
    ["PING", Buffer.alloc(0), frame(PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", Buffer.alloc(0), frame(SETTINGS, 0, 0)],
    ["PING acknowledgements", Buffer.alloc(0), frame(PING, ACK, 0, Buffer.alloc(8))],
  ] as const)
    test(name, async () => {
      const backend = await rawBackend(() => {});
      const { port, router } = await h2c(backend.port);
      const { socket, closed } = await frames(port);
      socket.write(open);
      const many = Buffer.concat(Array.from({ length: 50 }, () => again));
      let over = false;
      void closed.then(() => {
        over = true;
      });
      for (let i = 0; i < 100 && !over; i++) {
        socket.write(many);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await closed;
      await expect.poll(() => router.inspect().inFlight).toBe(0);
    });
});

test("a stream that was reset holds its place until it is a second old", async () => {
  const clock = new FakeClock();
  const backend = await rawBackend(() => {});
  const { port } = await h2c(backend.port, { clock });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const code = (stream: http2.ClientHttp2Stream) =>
    new Promise<number | undefined>((resolve) => {
      stream.on("error", () => {});
      stream.on("close", () => resolve(stream.rstCode));
    });
  const open = () => session.request({ ":path": "/", ":authority": "app.test" });
  for (let i = 0; i < 100; i++) {
    const stream = open();
    stream.on("error", () => {});
    stream.close(http2.constants.NGHTTP2_CANCEL);
  }
  expect(await code(open())).toBe(http2.constants.NGHTTP2_REFUSED_STREAM);
  clock.advance(1100);
  const seen = backend.received.length;
  open().on("error", () => {});
  await expect.poll(() => backend.received.length).toBeGreaterThan(seen);
});

test("the log names the stream where more keys are wanted", async () => {
  const backend = await cannedBackend(OK);
  const { port, line } = await h2c(backend.port);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  session.request({ ":path": "/", ":authority": "app.test" }).resume();
  expect(await line()).toMatch(/ protocol=http2\.0 .* listener=http stream=1$/);
});
