import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as http2 from "node:http2";
import { request } from "node:https";
import { connect as tlsConnect } from "node:tls";
import { CertificateStore, Router, RouteTable } from "@dynokit/router";
import { describe, expect, onTestFinished, test } from "vitest";
import { cannedBackend, OK, rawBackend } from "./support/harness.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
const pair = (name: string) => ({ cert: fixture(`${name}.crt`), key: fixture(`${name}.key`) });

async function secureRig(backendPort: number, options: object = {}, app: object = {}) {
  const certificates = new CertificateStore();
  certificates.put("app", pair("app"));
  const routes = new RouteTable();
  routes.set("app", {
    hosts: ["app.test", "other.test", "www.app.test"],
    backends: [{ address: { host: "127.0.0.1", port: backendPort } }],
    ...app,
  });
  const lines: string[] = [];
  const router = new Router({
    routes,
    logs: {
      write: (batch) => void lines.push(...batch.lines.map((line) => Buffer.from(line).toString())),
    },
  });
  const { port, url } = await router.listen({
    host: "127.0.0.1",
    tls: { certificates, ...options },
  });
  onTestFinished(async () => {
    await router.close({ drainMs: 0 });
    routes.close();
  });
  return { certificates, router, routes, port, url, lines };
}

function ask(
  port: number,
  servername: string,
  host = servername,
): Promise<{ status: number; subject: string; text: string }> {
  return new Promise((resolve, reject) => {
    const ask = request(
      {
        port,
        host: "127.0.0.1",
        servername,
        headers: { host },
        rejectUnauthorized: false,
        agent: false,
      },
      (response) => {
        const subject = (
          response.socket as never as { getPeerCertificate(): { subject: { CN: string } } }
        ).getPeerCertificate().subject.CN;
        let text = "";
        response.on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode as number, subject, text }));
      },
    );
    ask.on("error", reject);
    ask.end();
  });
}

describe("TLS", () => {
  test("a request over TLS says so to the app and in the log", async () => {
    const backend = await cannedBackend(OK);
    const { port, lines } = await secureRig(backend.port);
    expect((await ask(port, "app.test")).status).toBe(200);
    expect(backend.received[0]).toMatch(/X-Forwarded-Proto: https\r\nX-Forwarded-Port: \d+\r\n/);
    await expect.poll(() => lines[0]).toMatch(/ protocol=http1\.1 tls=true tls_version=tls1\.3$/);
  });

  test("the certificate follows the server name, changes live, and a bad one is refused", async () => {
    const backend = await cannedBackend(OK);
    const { port, certificates } = await secureRig(backend.port);
    expect((await ask(port, "app.test")).subject).toBe("app.test");
    certificates.put("other", pair("other"));
    expect((await ask(port, "other.test")).subject).toBe("other.test");
    expect((await ask(port, "www.app.test")).subject).toBe("app.test");
    expect(() =>
      certificates.put("other", { cert: fixture("app.crt"), key: fixture("other.key") }),
    ).toThrow(/not usable/);
    expect((await ask(port, "other.test")).subject).toBe("other.test");
    certificates.remove("other");
    expect((await ask(port, "other.test")).subject).toBe("app.test");
  });

  test("a host outside the certificate gets 421 and H32", async () => {
    const backend = await cannedBackend(OK);
    const { port, lines } = await secureRig(backend.port);
    expect((await ask(port, "app.test", "other.test")).status).toBe(421);
    await expect
      .poll(() => lines[0])
      .toMatch(/code=H32 desc="TLS Certificate Mismatch" .* status=421/);
  });

  test("a handshake without a known name is refused when that is required", async () => {
    const { port } = await secureRig(1, { requireSni: true });
    await expect(ask(port, "unknown.test")).rejects.toThrow();
    await expect(ask(port, "app.test")).resolves.toMatchObject({ status: 503 });
  });

  test("forceHttps redirects clear requests", async () => {
    const { router, port } = await secureRig(1, {}, { forceHttps: { hstsSeconds: 60 } });
    const plain = await router.listen({ host: "127.0.0.1" });
    const response = await fetch(`${plain.url}/a?b`, {
      headers: { host: "app.test" },
      redirect: "manual",
    }).catch(() => null);
    expect(response?.status ?? 404).toBe(404);
    const socket = (await import("node:net")).connect(plain.port, "127.0.0.1");
    socket.write("POST /a?b HTTP/1.1\r\nHost: app.test:80\r\nContent-Length: 0\r\n\r\n");
    const [chunk] = await once(socket, "data");
    expect(String(chunk)).toMatch(
      /^HTTP\/1\.1 308 [\s\S]*\r\nLocation: https:\/\/app\.test\/a\?b\r\n/,
    );
    socket.destroy();
    expect(port).toBeGreaterThan(0);
  });

  test("a handshake that stalls does not hold up closing", async () => {
    const { router, port } = await secureRig(1);
    const socket = tlsConnect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      servername: "app.test",
    });
    await once(socket, "secureConnect");
    await router.close({ drainMs: 0 });
    socket.destroy();
  });
});

describe("HTTP/2", () => {
  function session(port: number) {
    const client = http2.connect(`https://127.0.0.1:${port}`, {
      rejectUnauthorized: false,
      servername: "app.test",
    });
    client.on("error", () => {});
    onTestFinished(() => client.destroy());
    return client;
  }
  async function send(
    client: http2.ClientHttp2Session,
    headers: http2.OutgoingHttpHeaders,
    body?: string,
  ) {
    const stream = client.request(
      { ":authority": "app.test", ...headers },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    let answer: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders | undefined;
    stream.on("response", (headers) => (answer = headers));
    stream.on("trailers", (headers) => (trailers = headers));
    let text = "";
    stream.on("data", (chunk) => (text += chunk));
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("close", resolve));
    return { answer, trailers, text, code: stream.rstCode };
  }

  test("streams are served over the same core", async () => {
    const backend = await rawBackend((socket, _text, chunk) => {
      if (chunk.toString().endsWith("\r\n\r\n"))
        socket.write(
          "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nConnection: X-Drop\r\nX-Drop: 1\r\n\r\n2\r\nhi\r\n0\r\nX-T: 2\r\n\r\n",
        );
    });
    const { port, lines } = await secureRig(backend.port);
    const client = session(port);
    const { answer, trailers, text } = await send(client, {
      ":path": "/a?b",
      cookie: ["a=1", "b=2"] as never,
      "x-own": "1",
    });
    expect(answer).toMatchObject({ ":status": 200, "x-a": "1", via: "1.1 dynokit" });
    expect(answer["x-drop"]).toBeUndefined();
    expect(trailers).toMatchObject({ "x-t": "2" });
    expect(text).toBe("hi");
    const head = backend.received[0] as string;
    expect(head).toMatch(/^GET \/a\?b HTTP\/1\.1\r\nHost: app\.test\r\n/);
    expect(head).toMatch(/\r\ncookie: a=1; b=2\r\n/);
    expect(head).toMatch(/\r\nVia: 2\.0 dynokit\r\n/);
    await expect
      .poll(() => lines[0])
      .toMatch(/ status=200 .* protocol=http2\.0 tls=true tls_version=tls1\.3$/);
  });

  test("a body without a length is chunked towards the app", async () => {
    const backend = await rawBackend((socket, text) => {
      if (text.endsWith("0\r\n\r\n")) socket.write(OK);
    });
    const { port } = await secureRig(backend.port);
    const { text } = await send(session(port), { ":method": "POST", ":path": "/" }, "hello");
    expect(text).toBe("hi");
    expect(backend.received[0]).toMatch(
      /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n5\r\nhello\r\n0\r\n\r\n$/,
    );
  });

  test("a truncated answer resets the stream with INTERNAL_ERROR", async () => {
    const backend = await rawBackend((socket) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    );
    const { port, lines } = await secureRig(backend.port);
    const { code } = await send(session(port), { ":path": "/" });
    expect(code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
    await expect.poll(() => lines[0]).toMatch(/code=H18/);
  });

  test("a host that differs from the authority is refused", async () => {
    const { port, lines } = await secureRig(1);
    const { answer } = await send(session(port), { ":path": "/", host: "evil.test" });
    expect(answer[":status"]).toBe(400);
    await expect.poll(() => lines[0]).toMatch(/code=H26/);
  });

  test("a stream that its client resets is H27 and frees the backend", async () => {
    let closed = 0;
    const backend = await rawBackend((socket) => {
      socket.on("close", () => closed++);
      got();
    });
    let got = () => {};
    const reached = new Promise<void>((resolve) => (got = resolve));
    const { port, lines } = await secureRig(backend.port);
    const client = session(port);
    const stream = client.request({ ":authority": "app.test", ":path": "/" });
    stream.on("error", () => {});
    await reached;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await expect.poll(() => lines[0]).toMatch(/at=warning code=H27 .* status=499/);
    await expect.poll(() => closed).toBe(1);
  });

  test("103 and the router's own answers reach the client", async () => {
    const backend = await rawBackend((socket) =>
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`),
    );
    const { port } = await secureRig(backend.port);
    const client = session(port);
    const stream = client.request({ ":authority": "app.test", ":path": "/" });
    const [headers] = await once(stream, "headers");
    expect(headers).toMatchObject({ ":status": 103, link: "</a>" });
    stream.resume();
    await once(stream, "close");
    const { answer } = await send(client, { ":authority": "www.app.test:1", ":path": "/" });
    expect(answer[":status"]).toBe(200);
  });

  test("an extended CONNECT becomes a WebSocket upgrade", async () => {
    const backend = await rawBackend((socket, text, chunk) => {
      if (text.endsWith("\r\n\r\n"))
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
      else socket.write(chunk);
    });
    const { port } = await secureRig(backend.port);
    const client = session(port);
    await once(client, "remoteSettings");
    const stream = client.request(
      {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":authority": "app.test",
        ":path": "/ws",
        ":scheme": "https",
      },
      { endStream: false },
    );
    const [headers] = await once(stream, "response");
    expect(headers[":status"]).toBe(200);
    stream.write("ping");
    const [chunk] = await once(stream, "data");
    expect(String(chunk)).toBe("ping");
    expect(backend.received[0]).toMatch(/^GET \/ws HTTP\/1\.1\r\n[\s\S]*Upgrade: websocket\r\n/);
    stream.close();
  });

  test("closing the router says GOAWAY", async () => {
    const backend = await cannedBackend(OK);
    const { port, router } = await secureRig(backend.port);
    const client = session(port);
    await send(client, { ":path": "/" });
    const gone = once(client, "goaway");
    const closed = router.close({ drainMs: 1000 });
    await gone;
    await closed;
  });
});
