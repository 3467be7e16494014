import { once } from "node:events";
import { Agent as HttpAgent, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, it } from "vitest";
import { createEdge } from "../../src/edge/edge.ts";
import { sharedAuthority, startEdge } from "./support.ts";

interface Answer {
  status: number;
  body: { url: string; bytes: number; encrypted: boolean; remote: string };
}

function call(
  url: string,
  options: { ca?: string; body?: Buffer; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const secure = url.startsWith("https:");
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? requestHttps : requestHttp)(
      url,
      {
        method: options.body ? "POST" : "GET",
        agent: secure ? new HttpsAgent() : new HttpAgent(),
        ...(options.ca ? { ca: options.ca } : {}),
        ...(options.headers ? { headers: options.headers } : {}),
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk;
        });
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, body: text ? JSON.parse(text) : undefined });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}

async function raw(port: number, text: string): Promise<{ socket: Socket; answer: () => string }> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk: Buffer) => {
    answer += chunk;
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  if (text !== "") socket.write(text);
  return { socket, answer: () => answer };
}

describe("one port", () => {
  it("serves HTTP and HTTPS, small and large, with the client's own address", async () => {
    const { port, authority } = await startEdge();
    const body = Buffer.alloc(3_000_000);
    for (const scheme of ["http", "https"])
      for (const bytes of [0, 1, 100_000, 3_000_000]) {
        const { body: seen } = await call(`${scheme}://localhost:${port}/x?y=1`, {
          ca: authority.caPem,
          body: body.subarray(0, bytes),
        });
        expect(seen).toEqual({
          url: "/x?y=1",
          bytes,
          encrypted: scheme === "https",
          remote: "127.0.0.1",
        });
      }
  });

  it("has a certificate for localhost and for the loopback addresses", async () => {
    const { port, authority } = await startEdge();
    for (const host of ["localhost", "127.0.0.1"])
      expect((await call(`https://${host}:${port}/`, { ca: authority.caPem })).status).toBe(200);
    await expect(call(`https://localhost:${port}/`)).rejects.toThrow(/certificate/);
  });

  it("offers http/1.1 only", async () => {
    const { port, authority } = await startEdge();
    const socket = connectTls({
      port,
      host: "localhost",
      servername: "localhost",
      ca: authority.caPem,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe("http/1.1");
    socket.destroy();
  });

  it("takes requests that come byte by byte and many on one connection", async () => {
    const { port } = await startEdge();
    const { socket, answer } = await raw(port, "");
    for (const byte of "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (!answer().includes("/slow")) await once(socket, "data");
    socket.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!answer().includes("/b")) await once(socket, "data");
    socket.destroy();
  });

  it("takes heads of 16 kB and says 431 above the limit", async () => {
    const { port } = await startEdge();
    const head = (bytes: number) =>
      call(`http://127.0.0.1:${port}/`, { headers: { "request-id": "x".repeat(bytes) } });
    expect((await head(16_000)).status).toBe(200);
    expect((await head(80_000)).status).toBe(431);
  });

  it("closes connections that say nothing, nonsense, or speak TLS where there is none", async () => {
    const { port, authority } = await startEdge({ handshakeTimeoutMs: 50 });
    const silent = await raw(port, "");
    await once(silent.socket, "close");
    const noise = await raw(port, "\u0001\u0002\u0003 what\r\n\r\n");
    await once(noise.socket, "close");
    expect(noise.answer()).toMatch(/^(HTTP\/1\.1 400|$)/);
    const tls = connectTls({
      port,
      host: "localhost",
      servername: "localhost",
      ca: authority.caPem,
    });
    tls.on("error", () => undefined);
    await once(tls, "secureConnect");
    tls.write("x".repeat(600));
    await once(tls, "close");
    const plain = createEdge({ handler: (_request, response) => response.end() });
    const { port: other } = await plain.listen({ port: 0, host: "127.0.0.1" });
    await expect(call(`https://127.0.0.1:${other}/`)).rejects.toThrow();
    expect((await call(`http://127.0.0.1:${other}/`)).status).toBe(200);
    expect(() => plain.offer({ open: async () => undefined }, { tty: false })).toThrow(/need TLS/);
    await plain.close();
  });

  it("survives resets in every phase", async () => {
    const { port, authority } = await startEdge();
    for (const text of [
      "",
      "G",
      "GET / HTTP/1.1\r\n",
      "\u0016",
      "\u0016\u0003\u0001\u0002\u0000\u0001",
    ]) {
      const { socket } = await raw(port, text);
      socket.resetAndDestroy();
      await once(socket, "close");
    }
    expect((await call(`https://localhost:${port}/`, { ca: authority.caPem })).status).toBe(200);
  });

  it("passes upgrades on and closes them without a handler", async () => {
    const upgraded: string[] = [];
    const { port } = await startEdge({
      upgrade: (request, socket) => {
        upgraded.push(request.url ?? "");
        socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nhello");
      },
    });
    const head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const client = await raw(port, head);
    await once(client.socket, "close");
    expect(client.answer()).toContain("hello");
    expect(upgraded).toEqual(["/ws"]);
    const none = await startEdge();
    const other = await raw(none.port, head);
    await once(other.socket, "close");
    expect(other.answer()).toBe("");
  });

  it("lets a request finish when it closes, and ends idle connections", async () => {
    let release: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => {
      release = resolve;
    });
    let answer: () => void = () => undefined;
    const edge = createEdge({
      handler: (_request, response) => {
        answer = () => response.end("late");
        release();
      },
      tls: await sharedAuthority(),
    });
    const { port } = await edge.listen({ port: 0, host: "127.0.0.1" });
    const idle = await raw(port, "");
    const busy = await raw(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await arrived;
    const closing = edge.close();
    await once(idle.socket, "close");
    answer();
    await closing;
    await edge.close();
    expect(busy.answer()).toContain("late");
    await expect(call(`http://127.0.0.1:${port}/`)).rejects.toThrow(/ECONNREFUSED/);
  });
});
