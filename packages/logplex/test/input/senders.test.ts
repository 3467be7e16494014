import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Logplex } from "../../src/index.ts";
import { makeCertificate, type TestCertificate } from "../drain/certificates.ts";
import { frames } from "../support/http.ts";
import {
  freePort,
  missingProgram,
  rsyslogPort,
  spawnRsyslog,
  spawnSyslogNg,
} from "../support/programs.ts";

let directory: string;
let child: ChildProcess | undefined;
let logplex: Logplex;
let token: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "logplex-senders-"));
  logplex = new Logplex();
  token = logplex.createToken("a", "app");
});

afterEach(async () => {
  if (child && child.exitCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  child = undefined;
  await logplex.close({ timeoutMs: 0 });
  rmSync(directory, { recursive: true, force: true });
});

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 50_000;
  while (!condition()) {
    if (Date.now() > end || (child && child.exitCode !== null)) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Gives a relay 500 messages of RFC 5424 over TCP, which it then sends on to the router. */
async function feed(port: number): Promise<void> {
  const messages = Array.from(
    { length: 500 },
    (_, index) =>
      `<134>1 2026-03-14T09:26:53.589793Z box ${token} web.${(index % 3) + 1} ID7 [order@32473 note="a\\]b"] line ${index + 1} ☕`,
  );
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    // The relay may not listen yet.
    const open = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    if (open) {
      socket.end(frames(...messages));
      await once(socket.resume(), "close");
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function expectAll(sd: boolean): Promise<void> {
  const channel = logplex.channel("a");
  await eventually(() => channel.nextSeq > 500, "all messages arrive");
  const got = channel.history({ limit: 1000 });
  expect(got.map(({ body }) => Buffer.from(body).toString())).toEqual(
    Array.from({ length: 500 }, (_, index) => `line ${index + 1} ☕`),
  );
  expect(got[1]).toMatchObject({
    source: "app",
    procid: "web.2",
    hostname: "box",
    msgid: "ID7",
    pri: 134,
    ts: 1_773_480_413_589_793,
  });
  if (sd)
    expect(got[1]!.sd).toEqual([{ id: "order@32473", params: [{ name: "note", value: "a]b" }] }]);
  expect([...got[1]!.flags]).toEqual([]);
}

async function startRsyslog(target: number, framing: string, tls?: TestCertificate) {
  if (tls) writeFileSync(join(directory, "ca.pem"), tls.cert);
  const global = tls ? ` DefaultNetstreamDriverCAFile="${directory}/ca.pem"` : "";
  const driver = tls
    ? ' StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"'
    : "";
  child = spawnRsyslog(
    directory,
    `global(workDirectory="${directory}"${global})
module(load="imtcp")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="${directory}/port")
action(type="omfwd" target="127.0.0.1" port="${target}" protocol="tcp" TCP_Framing="${framing}" template="RSYSLOG_SyslogProtocol23Format"${driver})
`,
  );
  await eventually(() => rsyslogPort(directory) !== undefined, "rsyslog");
  return rsyslogPort(directory) as number;
}

const noRsyslog = missingProgram("rsyslog", "rsyslogd");

describe.skipIf(noRsyslog)(`rsyslog sends to the router (${noRsyslog ?? "installed"})`, () => {
  it.each(["octet-counted", "traditional"])("over TCP, %s", async (framing) => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    await feed(await startRsyslog(syslog!.port, framing));
    await expectAll(true);
  });

  it("over TLS", async () => {
    const tls = makeCertificate("IP:127.0.0.1");
    const { syslog } = await logplex.listen({ syslog: { port: 0, tls } });
    await feed(await startRsyslog(syslog!.port, "octet-counted", tls));
    await expectAll(true);
  });
});

const noSyslogNg = missingProgram("syslog-ng", "syslog-ng");

describe.skipIf(noSyslogNg)(`syslog-ng sends to the router (${noSyslogNg ?? "installed"})`, () => {
  it("over TCP, octet-counted", async () => {
    const { syslog } = await logplex.listen({ syslog: { port: 0 } });
    const port = await freePort();
    child = spawnSyslogNg(
      directory,
      `options { keep-hostname(yes); keep-timestamp(yes); frac-digits(6); };
source s { syslog(transport("tcp") ip("127.0.0.1") port(${port})); };
destination d { syslog("127.0.0.1" transport("tcp") port(${syslog!.port})); };
log { source(s); destination(d); };
`,
    );
    await feed(port);
    await expectAll(false);
  });
});
