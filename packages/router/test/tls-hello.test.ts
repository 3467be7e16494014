import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { CertificateStore, Router, type RouterOptions, RouteTable } from "@dynokit/router";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { parseClientHello } from "../src/listen/client-hello.ts";
import { exchange, get, rig } from "./support/harness.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8");
const pair = (name: string) => ({ cert: fixture(`${name}.crt`), key: fixture(`${name}.key`) });

async function listening(
  tls: { requireSni?: boolean; certificates?: CertificateStore },
  options: Partial<RouterOptions> = {},
) {
  const certificates = tls.certificates ?? new CertificateStore();
  if (tls.certificates === undefined) certificates.put("app", pair("app"));
  const routes = new RouteTable();
  const lines: string[] = [];
  const router = new Router({
    routes,
    logs: {
      write: ({ channel, lines: list }) =>
        void lines.push(...list.map((line) => `${channel}: ${Buffer.from(line)}`)),
    },
    ...options,
  });
  onTestFinished(async () => {
    await router.close({ drainMs: 0 });
    expect(router.inspect().timers).toBe(0);
    routes.close();
  });
  const { port } = await router.listen({ host: "127.0.0.1", tls: { ...tls, certificates } });
  return { port, router, routes, certificates, lines };
}

/** A handshake: what the client saw at its end. */
function shake(port: number, options: ConnectionOptions) {
  const socket = tlsConnect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  onTestFinished(() => {
    socket.destroy();
  });
  return new Promise<{ socket: TLSSocket; subject: string; protocol: string; error: string }>(
    (resolve) => {
      socket.on("secureConnect", () =>
        resolve({
          socket,
          subject: String(socket.getPeerCertificate().subject?.CN),
          protocol: String(socket.alpnProtocol),
          error: "",
        }),
      );
      socket.on("error", (error) =>
        resolve({ socket, subject: "", protocol: "", error: error.message }),
      );
    },
  );
}

/** The first octets of a handshake of Node's own. */
async function realHello(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const client = tlsConnect({
    port: (server.address() as { port: number }).port,
    host: "127.0.0.1",
    ...options,
  });
  client.on("error", () => {});
  const [socket] = (await once(server, "connection")) as [Socket];
  socket.on("error", () => {});
  const [octets] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  return octets;
}

test("a handshake without a name is answered with unrecognized_name where a name is required", async () => {
  const { port, router } = await listening({ requireSni: true });
  expect((await shake(port, {})).error).toMatch(/unrecognized.name/i);
  expect((await shake(port, { servername: "app.test" })).subject).toBe("app.test");
  expect(router.metrics()).toContain(
    'router_tls_failures_total{listener="https",reason="unrecognized_name"} 1',
  );
});

test("without that, the default certificate answers", async () => {
  const { port } = await listening({});
  expect((await shake(port, {})).subject).toBe("app.test");
});

test("TLS-ALPN-01: a challenge gets the certificate of its hook and no request is served", async () => {
  const asked: string[] = [];
  const { port } = await listening(
    {},
    {
      acmeTlsChallenge: (hostname) => {
        asked.push(hostname);
        return hostname === "new.test" ? pair("other") : undefined;
      },
    },
  );
  const challenge = { ALPNProtocols: ["acme-tls/1"] };
  const shown = await shake(port, { ...challenge, servername: "NEW.test" });
  expect(shown).toMatchObject({ subject: "other.test", protocol: "acme-tls/1" });
  shown.socket.resume();
  await once(shown.socket, "close");
  // A name without a challenge, and clients that offer more than that, meet the usual server.
  expect((await shake(port, { ...challenge, servername: "app.test" })).error).toMatch(
    /no.application.protocol/i,
  );
  const both = { ALPNProtocols: ["acme-tls/1", "http/1.1"], servername: "new.test" };
  expect(await shake(port, both)).toMatchObject({ subject: "app.test", protocol: "http/1.1" });
  expect(await shake(port, { servername: "app.test" })).toMatchObject({ subject: "app.test" });
  expect(asked).toEqual(["new.test", "app.test"]);
});

test("TLS-ALPN-01: the certificate may come later, or not at all", async () => {
  const { port } = await listening(
    {},
    {
      acmeTlsChallenge: async (hostname) => {
        if (hostname === "broken.test") throw new Error("no store");
        return hostname === "new.test" ? pair("other") : undefined;
      },
    },
  );
  const challenge = { ALPNProtocols: ["acme-tls/1"] };
  const shown = await shake(port, { ...challenge, servername: "new.test" });
  expect(shown).toMatchObject({ subject: "other.test", protocol: "acme-tls/1" });
  for (const servername of ["app.test", "broken.test"])
    expect((await shake(port, { ...challenge, servername })).error).toMatch(
      /no.application.protocol/i,
    );
});

test("an answer of the authority is stapled where the certificate has one", async () => {
  const answer = Buffer.from([0x30, 3, 0x0a, 1, 0]);
  const { port, certificates } = await listening({});
  const stapled = () => ocspAnswer(port);
  expect(await stapled()).toBeNull();
  certificates.put("app", { ...pair("app"), ocsp: answer });
  expect(await stapled()).toEqual(answer);
  certificates.put("app", { ...pair("app"), ocsp: answer.toString("base64") });
  expect(await stapled()).toEqual(answer);
  certificates.put("app", pair("app"));
  expect(await stapled()).toBeNull();
});

async function ocspAnswer(port: number): Promise<Buffer | null> {
  const options = { rejectUnauthorized: false, servername: "app.test", requestOCSP: true };
  const socket = tlsConnect({ port, host: "127.0.0.1", ...options });
  onTestFinished(() => {
    socket.destroy();
  });
  const [response] = (await once(socket, "OCSPResponse")) as [Buffer | null];
  return response;
}

test("H23 for a name that has an app and no certificate, and for a listener without any", async () => {
  const { port, routes, lines } = await listening({ requireSni: true });
  routes.set("shop", { hosts: ["shop.test"] });
  await shake(port, { servername: "nobody.test" });
  await shake(port, { servername: "shop.test" });
  await expect.poll(() => lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /^shop: at=error code=H23 desc="Endpoint misconfigured" method= path="" host=shop\.test request_id=[-0-9a-f]{36} fwd="127\.0\.0\.1" dyno= connect= service= status= bytes=0 protocol=http1\.1 tls=true tls_version=unknown cause="certificate" phase=tls listener=https$/,
  );
  const empty = await listening({ certificates: new CertificateStore() });
  await shake(empty.port, { servername: "nobody.test" });
  await shake(empty.port, {});
  await expect.poll(() => empty.lines).toHaveLength(2);
  expect(empty.lines[0]).toMatch(/^router: at=error code=H23 .* host=nobody\.test /);
  expect(empty.lines[1]).toMatch(/^router: at=error code=H23 .* host= /);
});

test("H23 for a host that a listener names and no app has; 404 where a pattern only matches", async () => {
  const { router, line } = await rig([]);
  const { port } = await router.listen({
    host: "127.0.0.1",
    hosts: ["app.test", "lost.test", "*.lost.test"],
  });
  const ask = (host: string) => exchange(port, get().replace("app.test", host));
  expect(await ask("lost.test")).toMatch(/^HTTP\/1\.1 503 [\s\S]*X-Router-Error: H23\r\n/);
  expect(await line(/lost/)).toMatch(/^at=error code=H23 .* status=503 .* cause="no-app"/);
  expect(await ask("a.lost.test")).toMatch(/^HTTP\/1\.1 404 /);
  expect(await ask("app.test")).toMatch(/H14/);
});

test("a hello is read as Node's TLS wrote it, for every division, and in records of any size", async () => {
  const hello = await realHello({
    servername: "Shop.Example.com",
    ALPNProtocols: ["h2", "acme-tls/1"],
  });
  const expected = { serverName: "shop.example.com", protocols: ["h2", "acme-tls/1"] };
  expect(parseClientHello(hello)).toEqual(expected);
  expect(parseClientHello(Buffer.concat([hello, hello]))).toEqual(expected);
  for (let end = 0; end < hello.length; end++)
    expect(parseClientHello(hello.subarray(0, end)), String(end)).toBe("more");
  expect(parseClientHello(await realHello({}))).toEqual({ serverName: "", protocols: [] });
  const message = hello.subarray(5);
  for (const size of [1, 3, 4, 5, 100]) {
    const records: Buffer[] = [];
    for (let at = 0; at < message.length; at += size) {
      const part = message.subarray(at, at + size);
      records.push(Buffer.from([22, 3, 1, 0, part.length]), part);
    }
    expect(parseClientHello(Buffer.concat(records)), String(size)).toEqual(expected);
  }
});

test("octets that are no hello are left to TLS, whatever they are", async () => {
  const hello = await realHello({ servername: "a.test", ALPNProtocols: ["h2"] });
  for (const octets of [get(), "\x16\x03\x01\0\0", "\x15\x03\x01\0\x02\x02\x28", "\x16\x02"])
    expect(parseClientHello(Buffer.from(octets, "latin1"))).toBeNull();
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, octet) => {
      const changed = Buffer.from(hello);
      changed[at] = octet;
      const read = parseClientHello(changed);
      expect(read === "more" || read === null || typeof read.serverName === "string").toBe(true);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
      parseClientHello(Buffer.from(octets));
      parseClientHello(Buffer.concat([hello.subarray(0, 11), Buffer.from(octets)]));
    }),
  );
});

test("a client that says nothing, or half a hello, holds nothing up", async () => {
  const { port, router } = await listening({ requireSni: true });
  const hello = await realHello({ servername: "app.test" });
  for (const octets of [Buffer.alloc(0), hello.subarray(0, 20)]) {
    const socket = connect(port, "127.0.0.1");
    onTestFinished(() => {
      socket.destroy();
    });
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(octets);
  }
  await router.close({ drainMs: 0 });
});
