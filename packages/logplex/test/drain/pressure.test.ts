import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ListenAddress, Logplex } from "../../src/index.ts";
import { frames, post } from "../support/http.ts";
import { makeCertificate } from "./certificates.ts";
import { type Receiver, startReceiver, until } from "./receiver.ts";

describe("a drain that may lose nothing", () => {
  let receiver: Receiver;
  let logplex: Logplex;
  let http: ListenAddress;
  let syslog: ListenAddress;
  let token: string;
  let id: string;
  const held: (() => void)[] = [];
  beforeEach(async () => {
    receiver = await startReceiver();
    receiver.script((_request, response) => held.push(() => response.end()));
    logplex = new Logplex({
      budget: false,
      drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
    });
    const opened = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
    http = opened.http!;
    syslog = opened.syslog!;
    token = logplex.createToken("a", "app");
    const url = `http://127.0.0.1:${receiver.port}/`;
    id = (await logplex.addDrain("a", url, { onFull: "block", batch: { lingerMs: 0 } })).id;
  });
  afterEach(async () => {
    await logplex.close({ timeoutMs: 0 });
    await receiver.close();
    held.length = 0;
  });

  const line = (text: string) => `<190>1 2026-03-14T09:26:53Z host ${token} web.1 - - ${text}`;
  const ledger = () => logplex.ledger(id);
  /** Lets the receiver answer everything, now and later. */
  function release(): void {
    receiver.script(200);
    for (const answer of held.splice(0)) answer();
  }

  it("holds senders over HTTP back, however many there are", async () => {
    const body = frames(...Array.from({ length: 1000 }, (_, index) => line(`line ${index}`)));
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/logplex-1" };
    let answered = 0;
    const all = Array.from({ length: 20 }, async () => {
      expect((await post(http, "/logs", body, headers)).status).toBe(204);
      answered += 1;
    });
    await until(() => answered >= 6 && held.length > 0);
    expect(answered).toBeLessThan(20);
    release();
    await Promise.all(all);
    await until(() => ledger().delivered === 20_000);
    expect(ledger()).toMatchObject({ received: 20_000, lostTotal: 0 });
  });

  it("holds a connection of syslog back", async () => {
    const socket = connect(syslog.port, syslog.host);
    const octets = frames(...Array.from({ length: 30_000 }, (_, index) => line(`line ${index}`)));
    socket.end(octets);
    await until(() => logplex.channel("a").nextSeq > 6000 && held.length > 0);
    release();
    await once(socket, "close");
    await until(() => ledger().delivered === 30_000);
    expect(ledger()).toMatchObject({ received: 30_000, lostTotal: 0 });
  });

  it("holds writers in the process back", async () => {
    const lines = Array.from({ length: 1000 }, (_, index) => Buffer.from(`line ${index}`));
    let written = 0;
    const writer = (async () => {
      for (let turn = 0; turn < 20; turn++) {
        await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
        written += 1;
      }
    })();
    await until(() => written >= 5 && held.length > 0);
    expect(written).toBeLessThan(20);
    release();
    await writer;
    await until(() => ledger().delivered === 20_000);
    expect(ledger()).toMatchObject({ received: 20_000, lostTotal: 0 });
  });
});

it("a drain over HTTPS leaves no listener on its connection at each request", async () => {
  const certificate = makeCertificate("IP:127.0.0.1");
  const receiver = await startReceiver(certificate);
  const logplex = new Logplex({ drains: { policy: { allowPrivate: true, deniedPorts: [] } } });
  const warnings: Error[] = [];
  const heard = (warning: Error) => warnings.push(warning);
  process.on("warning", heard);
  const { id } = await logplex.addDrain("a", `https://127.0.0.1:${receiver.port}/`, {
    tls: { ca: certificate.cert },
    batch: { lingerMs: 0 },
  });
  for (let turn = 1; turn <= 15; turn++) {
    await logplex.channel("a").write(`line ${turn}`);
    await until(() => logplex.ledger(id).delivered === turn);
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", heard);
  expect(receiver.connections).toBe(1);
  expect(warnings).toEqual([]);
  await logplex.close();
  await receiver.close();
});
