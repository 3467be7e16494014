import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex, type SyslogTlsOptions } from "../../src/index.ts";
import { type Issued, makeAuthority } from "../support/authority.ts";
import { frames } from "../support/http.ts";

const TS = "2026-03-14T09:26:53.589793+00:00";

describe("syslog over TLS", () => {
  let authority: ReturnType<typeof makeAuthority>;
  let stranger: ReturnType<typeof makeAuthority>;
  let server: Issued;
  let logplex: Logplex;
  let token: string;
  const sockets: Socket[] = [];
  beforeAll(() => {
    authority = makeAuthority("logs.test");
    stranger = makeAuthority("elsewhere.test");
    server = authority.issue("server", "IP:127.0.0.1,DNS:logs.test");
  });
  afterAll(() => {
    authority.dispose();
    stranger.dispose();
  });
  beforeEach(() => {
    logplex = new Logplex();
    token = logplex.createToken("my-app", "app");
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await logplex.close();
  });

  const line = (text: string, app = token) => `<190>1 ${TS} host ${app} web.1 - - ${text}`;
  async function listen(tls: Partial<SyslogTlsOptions> = {}, more = {}): Promise<ListenAddress> {
    const { key, cert } = server;
    const opened = await logplex.listen({
      syslog: { port: 0, tls: { key, cert, ...tls }, ...more },
    });
    return opened.syslog!;
  }
  function dial(address: ListenAddress, options: ConnectionOptions = {}): TLSSocket {
    const socket = connect({ ...address, ca: authority.ca, ...options });
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.resume();
    return socket;
  }
  const closed = (socket: Socket) =>
    new Promise<void>((resolve) => {
      if (socket.closed) resolve();
      socket.on("close", () => resolve());
    });
  async function first(channel = "my-app"): Promise<string> {
    for await (const { source, procid, body } of logplex.channel(channel).tail())
      return `${source}[${procid}] ${Buffer.from(body)}`;
    return "";
  }

  it("takes both framings from a client that verifies the server", async () => {
    const socket = dial(await listen());
    await once(socket, "secureConnect");
    expect([
      socket.authorized,
      ["TLSv1.2", "TLSv1.3"].includes(socket.getProtocol() ?? ""),
    ]).toEqual([true, true]);
    socket.write(frames(line("counted")));
    socket.end(`${line("by line")}\n`);
    await closed(socket);
    const bodies = logplex
      .channel("my-app")
      .history()
      .map(({ body }) => Buffer.from(body).toString());
    expect(bodies).toEqual(["counted", "by line"]);
  });

  it("gives the same messages however the records are cut", async () => {
    const octets = Buffer.concat([
      frames(line("é☕"), line("two")),
      Buffer.from(`${line("three")}\n`),
    ]);
    const address = await listen();
    for (const size of [1, 7, 64]) {
      const socket = dial(address);
      for (let at = 0; at < octets.length; at += size) socket.write(octets.subarray(at, at + size));
      socket.end();
      await closed(socket);
    }
    const bodies = logplex
      .channel("my-app")
      .history()
      .map(({ body }) => Buffer.from(body).toString());
    expect(bodies).toEqual(Array.from({ length: 3 }, () => ["é☕", "two", "three"]).flat());
  });

  it("binds a client certificate to a token, whatever its frames say", async () => {
    const client = authority.issue("shipper", "DNS:shipper");
    const other = logplex.createToken("other", "app");
    const address = await listen({ ca: authority.ca, clients: { [client.fingerprint]: token } });
    const socket = dial(address, { key: client.key, cert: client.cert });
    socket.end(frames(line("bound", other)));
    expect(await first()).toBe("app[web.1] bound");
    expect(logplex.channel("other").nextSeq).toBe(1);
  });

  it("keeps the octets of a bound client that are no message", async () => {
    const client = authority.issue("shipper", "DNS:shipper");
    const address = await listen({ ca: authority.ca, clients: { [client.fingerprint]: token } });
    dial(address, { key: client.key, cert: client.cert }).end(frames("not syslog at all"));
    expect(await first()).toBe("app[] not syslog at all");
  });

  it.each(["without a certificate", "with one of a stranger"])(
    "refuses clients %s where an authority is set",
    async (kind) => {
      const foreign = stranger.issue("shipper", "DNS:shipper");
      const identity = kind.startsWith("with ") ? { key: foreign.key, cert: foreign.cert } : {};
      const socket = dial(await listen({ ca: authority.ca }), identity);
      socket.write(frames(line("never")));
      await closed(socket);
      expect(logplex.channel("my-app").nextSeq).toBe(1);
    },
  );

  it("refuses TLS 1.1 and plain text, and goes on for others", async () => {
    const address = await listen();
    const old = dial(address, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" });
    await closed(old);
    const plain = connectTcp(address.port, address.host);
    sockets.push(plain);
    plain.on("error", () => undefined);
    plain.resume();
    plain.write(frames(line("in the clear")));
    await closed(plain);
    dial(address).end(frames(line("encrypted")));
    expect(await first()).toBe("app[web.1] encrypted");
  });

  it("is not trusted by clients of another authority", async () => {
    const socket = dial(await listen(), { ca: stranger.ca });
    const [error] = await once(socket, "error");
    expect(error.code).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  });

  it("ends its connections when the router is closed", async () => {
    const socket = dial(await listen());
    await once(socket, "secureConnect");
    await logplex.close();
    await closed(socket);
    expect(socket.destroyed).toBe(true);
  });
});
