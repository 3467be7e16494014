import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { rig } from "./support/harness.ts";
import { listening } from "./support/listening.ts";

const BYTES = 3_000_000;

/** Octets that differ everywhere, so that a buffer used twice too early shows. */
function pattern(bytes: number, seed: number): Buffer {
  const body = Buffer.allocUnsafe(bytes);
  let state = seed;
  for (let at = 0; at + 4 <= bytes; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    body.writeUInt32LE(state, at);
  }
  return body;
}

const digest = (data: Buffer) => createHash("sha256").update(data).digest("hex");

/** An app that reads at its own pace and answers with the digest of what it got. */
async function digestingApp(slow: boolean) {
  const server = createServer(async (request, response) => {
    const hash = createHash("sha256");
    let pieces = 0;
    for await (const chunk of request) {
      hash.update(chunk);
      if (slow && ++pieces % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    response.end(hash.digest("hex"));
  });
  return listening(server);
}

async function write(socket: Socket, octets: string | Buffer): Promise<void> {
  if (!socket.write(octets)) await once(socket, "drain");
}

test("large uploads arrive as they were sent, whatever their framing, many at a time", async () => {
  const { port } = await rig([await digestingApp(false), await digestingApp(true)]);
  const one = async (seed: number, chunked: boolean) => {
    const socket = connect(port, "127.0.0.1");
    onTestFinished(() => {
      socket.destroy();
    });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    // Two uploads and a request without a body, one directly behind the other.
    const expected: string[] = [];
    for (const turn of [0, 1]) {
      const body = pattern(BYTES, seed * 10 + turn);
      expected.push(digest(body));
      await write(
        socket,
        `PUT / HTTP/1.1\r\nHost: app.test\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${BYTES}`}\r\n\r\n`,
      );
      for (let at = 0; at < BYTES; at += 50_000) {
        const piece = body.subarray(at, at + 50_000);
        if (!chunked) await write(socket, piece);
        else {
          socket.write(`${piece.length.toString(16)}\r\n`);
          socket.write(piece);
          await write(socket, "\r\n");
        }
      }
      if (chunked) await write(socket, "0\r\n\r\n");
    }
    await write(socket, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    expected.push(digest(Buffer.alloc(0)));
    await expect.poll(() => text.match(/[0-9a-f]{64}/g)?.length, { timeout: 20_000 }).toBe(3);
    expect(text.match(/[0-9a-f]{64}/g)).toEqual(expected);
  };
  await Promise.all([1, 2, 3, 4].map((seed) => one(seed, seed % 2 === 0)));
}, 30_000);

test("a large upload to a kept connection that the app has closed is sent again whole", async () => {
  let connections = 0;
  const server = createServer((request, response) => {
    const hash = createHash("sha256");
    request.on("data", (chunk) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
  });
  server.on("connection", (socket) => {
    connections++;
    // The first connection answers one request and then dies with the next.
    if (connections === 1) {
      let requests = 0;
      socket.on("data", (chunk: Buffer) => {
        if (chunk.includes("HTTP/1.1\r\n") && ++requests === 2) socket.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = await rig([(server.address() as { port: number }).port]);
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
  });
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
  await expect.poll(() => text).toContain(digest(Buffer.alloc(0)));
  const body = pattern(40_000, 7);
  socket.write(`PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n`);
  socket.write(body);
  await expect.poll(() => text).toContain(digest(body));
  expect(connections).toBe(2);
});

test("large downloads arrive as the app sent them, whatever their framing and the reader", async () => {
  const server = createServer(async (request, response) => {
    const body = pattern(BYTES, Number(request.url?.slice(1)));
    if (request.headers["x-length"] !== undefined) response.setHeader("Content-Length", BYTES);
    for (let at = 0; at < BYTES; at += 100_000)
      if (!response.write(body.subarray(at, at + 100_000))) await once(response, "drain");
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = await rig([(server.address() as { port: number }).port]);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  onTestFinished(() => agent.destroy());
  const one = async (seed: number, length: boolean, slow: boolean) => {
    const asked = request({
      port,
      agent,
      path: `/${seed}`,
      headers: { host: "app.test", ...(length ? { "x-length": "1" } : {}) },
    }).end();
    const [response] = await once(asked, "response");
    const hash = createHash("sha256");
    for await (const chunk of response) {
      hash.update(chunk);
      if (slow) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(hash.digest("hex")).toBe(digest(pattern(BYTES, seed)));
  };
  await Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => one(seed, seed % 2 === 0, seed % 3 === 0)),
  );
}, 30_000);
