import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Issued, makeAuthority } from "../support/authority.ts";
import { until } from "./receiver.ts";
import { delivered, LOCAL, type Setup, setup } from "./setup.ts";

describe("TLS of drains, spec/logplex.md §9.5", () => {
  let authority: ReturnType<typeof makeAuthority>;
  let server: Issued;
  let one: Setup;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(() => {
    authority = makeAuthority("logs.test");
    server = authority.issue("receiver", "DNS:logs.example.com,IP:127.0.0.1");
  });
  afterAll(() => authority.dispose());
  beforeEach(() => {
    one = setup({ policy: LOCAL, resolve: async () => [{ address: "127.0.0.1", family: 4 }] });
  });
  afterEach(async () => {
    await one.drains.close({ timeoutMs: 0 });
    for (const close of closing.splice(0)) await close();
  });

  /** A receiver that answers as HTTP and notes for which name it was asked. */
  async function listen(options: TlsOptions = {}) {
    const names: (string | false | null)[] = [];
    const sockets = new Set<TLSSocket>();
    let refused = 0;
    const gate = createServer({ key: server.key, cert: server.cert, ...options }, (socket) => {
      names.push(socket.servername);
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
    });
    gate.on("tlsClientError", () => {
      refused += 1;
    });
    await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
    closing.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => gate.close(resolve));
    });
    return { port: (gate.address() as AddressInfo).port, names, refused: () => refused };
  }

  it.each(["https", "syslog+tls"])(
    "%s names the host it asks for, and no address",
    async (kind) => {
      const gate = await listen();
      const tls = { ca: authority.ca };
      const { id } = await one.drains.add("app", `${kind}://logs.example.com:${gate.port}`, {
        tls,
      });
      one.source.append("a");
      await delivered(one, id, 1);
      await one.drains.remove(id);
      const other = await one.drains.add("app", `${kind}://127.0.0.1:${gate.port}`, { tls });
      one.source.append("b");
      await delivered(one, other.id, 1);
      expect(gate.names).toEqual(["logs.example.com", false]);
    },
  );

  it.each(["https", "syslog+tls"])("%s speaks nothing older than TLS 1.2", async (kind) => {
    const gate = await listen({
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    const { id } = await one.drains.add("app", `${kind}://127.0.0.1:${gate.port}`, {
      tls: { ca: authority.ca },
    });
    one.source.append("a");
    await until(() => one.drains.health(id).failures > 0, "a failure");
    expect(one.drains.health(id).lastError?.reason).toMatch(/^TLS failed/);
    expect([gate.names, gate.refused()]).toEqual([[], 1]);
    expect(one.drains.ledger(id)).toMatchObject({ delivered: 0, pending: 1 });
  });
});
