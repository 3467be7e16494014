import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Issued, makeAuthority } from "../support/authority.ts";
import { until } from "./receiver.ts";
import { advanceUntil, type Setup, setup } from "./setup.ts";

/** A receiver that lets in who shows a certificate of its authority. */
async function startGate(server: Issued, ca: string, version: "TLSv1.2" | "TLSv1.3") {
  const guests: string[] = [];
  let octets = "";
  const sockets = new Set<TLSSocket>();
  const gate = createServer(
    {
      ...{ key: server.key, cert: server.cert, ca, requestCert: true, rejectUnauthorized: true },
      ...{ minVersion: version, maxVersion: version },
    },
    (socket) => {
      guests.push(String(socket.getPeerCertificate().subject?.CN));
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        octets += chunk.toString();
        // Who speaks syslog does not listen to it.
        if (octets.includes("\r\n\r\n")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      });
    },
  );
  let refused = 0;
  gate.on("tlsClientError", () => {
    refused += 1;
  });
  await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
  return {
    port: (gate.address() as AddressInfo).port,
    guests,
    octets: () => octets,
    refused: () => refused,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => gate.close(resolve));
    },
  };
}

describe("a drain to a receiver that asks for a certificate", () => {
  let authority: ReturnType<typeof makeAuthority>;
  let stranger: ReturnType<typeof makeAuthority>;
  let server: Issued;
  let client: Issued;
  let unknown: Issued;
  let one: Setup;
  beforeAll(() => {
    authority = makeAuthority("logs.test");
    stranger = makeAuthority("elsewhere.test");
    server = authority.issue("receiver", "IP:127.0.0.1");
    client = authority.issue("our-drain", "DNS:drain.test");
    unknown = stranger.issue("our-drain", "DNS:drain.test");
  });
  afterAll(() => {
    authority.dispose();
    stranger.dispose();
  });
  beforeEach(() => {
    one = setup();
  });
  afterEach(() => one.drains.close({ timeoutMs: 0 }));

  it.each([
    ["https", "TLSv1.2"],
    ["https", "TLSv1.3"],
    ["syslog+tls", "TLSv1.2"],
    ["syslog+tls", "TLSv1.3"],
  ] as const)(
    "over %s with %s delivers with it, and loses nothing without",
    async (kind, version) => {
      const gate = await startGate(server, authority.ca, version);
      try {
        const { id } = await one.drains.add("app", `${kind}://127.0.0.1:${gate.port}`, {
          tls: { ca: authority.ca },
        });
        one.source.append("hello");
        await until(() => one.drains.health(id).failures > 0, "a failure");
        expect(gate.refused()).toBe(1);
        // With TLS 1.2 a receiver only says that the handshake failed.
        if (version === "TLSv1.3")
          expect(one.notices.map(({ text }) => text)).toEqual([
            `Error L14 (certificate validation): error="tlsv13 alert certificate required" uri="${kind}://127.0.0.1:${gate.port}"`,
          ]);
        const { cert, key } = unknown;
        const wrong = await one.drains.update(id, {
          options: { tls: { ca: authority.ca, clientCert: { cert, key } } },
        });
        expect(JSON.stringify(wrong)).not.toContain("PRIVATE KEY");
        await advanceUntil(one, () => gate.refused() > 1, 100);
        await until(() => one.drains.health(id).lastError !== undefined, "a failure");
        expect(one.drains.ledger(id)).toMatchObject({ delivered: 0, pending: 1, lostTotal: 0 });
        expect(gate.guests).toEqual([]);
        await one.drains.update(id, {
          options: {
            tls: { ca: authority.ca, clientCert: { cert: client.cert, key: client.key } },
          },
        });
        await advanceUntil(one, () => one.drains.ledger(id).delivered === 1, 100);
        await until(() => gate.octets().includes("hello"), "the line arrives");
        expect(gate.guests).toEqual(["our-drain"]);
        console.log(
          kind,
          version,
          one.notices.map((n) => n.text),
        );
      } finally {
        await gate.close();
      }
    },
  );
});
