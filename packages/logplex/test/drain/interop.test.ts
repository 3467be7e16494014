import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DrainSet } from "../../src/drain/index.ts";
import { createMemorySource, type MemorySource } from "../../src/testing/memory-source.ts";
import {
  freePort,
  missingProgram,
  rsyslogPort,
  spawnRsyslog,
  spawnSyslogNg,
} from "../support/programs.ts";
import { makeCertificate } from "./certificates.ts";
import { LOCAL } from "./setup.ts";

const TOKEN = "d.6f9f3a40-1c2d-4e5f-8a7b-9c0d1e2f3a4b";
let directory: string;
let child: ChildProcess | undefined;
let drains: DrainSet;
let source: MemorySource;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynokit-syslog-"));
  source = createMemorySource({ now: () => Date.now() });
  drains = new DrainSet({ source: () => source, policy: LOCAL });
});

afterEach(async () => {
  await drains.close({ timeoutMs: 0 });
  if (child && child.exitCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  child = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > end || (child && child.exitCode !== null)) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const out = () =>
  existsSync(join(directory, "out")) ? readFileSync(join(directory, "out"), "utf8") : "";

async function startRsyslog(tls?: { key: string; cert: string }): Promise<number> {
  const driver = tls
    ? ' StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'
    : "";
  const global = tls
    ? ` DefaultNetstreamDriverCAFile="${directory}/cert.pem" DefaultNetstreamDriverCertFile="${directory}/cert.pem" DefaultNetstreamDriverKeyFile="${directory}/key.pem"`
    : "";
  if (tls) {
    writeFileSync(join(directory, "cert.pem"), tls.cert);
    writeFileSync(join(directory, "key.pem"), tls.key);
  }
  child = spawnRsyslog(
    directory,
    `global(workDirectory="${directory}"${global})
module(load="imtcp"${driver})
template(name="line" type="string" string="%pri%|%app-name%|%procid%|%hostname%|%structured-data%|%msg%\\n")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="${directory}/port")
action(type="omfile" file="${directory}/out" template="line")
`,
  );
  await eventually(() => rsyslogPort(directory) !== undefined, "rsyslog listens");
  return rsyslogPort(directory) as number;
}

async function startSyslogNg(): Promise<number> {
  const port = await freePort();
  child = spawnSyslogNg(
    directory,
    `options { keep-hostname(yes); };
source s { syslog(transport("tcp") ip("127.0.0.1") port(${port})); };
destination d { file("${directory}/out" template("\${PRI}|\${PROGRAM}|\${PID}|\${HOST}|\${SDATA}|\${MSG}\\n")); };
log { source(s); destination(d); };
`,
  );
  return port;
}

const rsyslogMissing = missingProgram("rsyslog", "rsyslogd");
const syslogNgMissing = missingProgram("syslog-ng", "syslog-ng");

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `line ${index + 1} ☕`);
}

describe.skipIf(rsyslogMissing)(`rsyslog takes drains (${rsyslogMissing ?? "installed"})`, () => {
  it("over TCP, every field in its place", async () => {
    const port = await startRsyslog();
    await drains.add("app", `syslog://127.0.0.1:${port}`, { token: TOKEN });
    source.append(
      ...lines(500),
      { body: Buffer.from("two\nlines"), source: "heroku", procid: "router", pri: 158 },
      { body: Buffer.from("piece"), split: { group: "a.1", index: 1, count: 2 } },
    );
    await eventually(() => out().includes("piece"), "all lines arrive");
    const got = out().split("\n");
    expect(got.slice(0, 500)).toEqual(lines(500).map((line) => `190|app|web.1|${TOKEN}|-|${line}`));
    expect(got[500]).toBe(`158|heroku|router|${TOKEN}|-|two#012lines`);
    expect(got[501]).toBe(`190|app|web.1|${TOKEN}|[split@32473 group="a.1" i="1" n="2"]|piece`);
  });

  it("over TLS with verification", async () => {
    const certificate = makeCertificate("IP:127.0.0.1");
    const port = await startRsyslog(certificate);
    const { id } = await drains.add("app", `syslog+tls://127.0.0.1:${port}`, {
      token: TOKEN,
      tls: { ca: certificate.cert },
    });
    source.append(...lines(500));
    await eventually(() => out().split("\n").length > 500, "all lines arrive");
    expect(out().split("\n").slice(0, 500)).toEqual(
      lines(500).map((line) => `190|app|web.1|${TOKEN}|-|${line}`),
    );
    expect(drains.ledger(id)).toMatchObject({ delivered: 500, pending: 0 });
  });

  it("after a restart of the receiver, with nothing missing", async () => {
    const port = await startRsyslog();
    await drains.add("app", `syslog://127.0.0.1:${port}`, { token: TOKEN });
    source.append(...lines(50));
    await eventually(() => out().includes("line 50 "), "first part");
    (child as ChildProcess).kill("SIGKILL");
    await once(child as ChildProcess, "exit");
    rmSync(join(directory, "pid"), { force: true });
    source.append("during");
    const conf = join(directory, "rsyslog.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replace('port="0"', `port="${port}"`));
    child = spawn("rsyslogd", ["-n", "-f", conf, "-i", join(directory, "pid")], {
      stdio: "ignore",
    });
    await eventually(() => out().includes("during"), "the rest");
    const seen = new Set(
      out()
        .split("\n")
        .map((line) => line.split("|").at(-1)),
    );
    for (const line of [...lines(50), "during"]) expect(seen).toContain(line);
  });
});

describe.skipIf(syslogNgMissing)(
  `syslog-ng takes drains (${syslogNgMissing ?? "installed"})`,
  () => {
    it("over TCP, every field in its place", async () => {
      const port = await startSyslogNg();
      await drains.add("app", `syslog://127.0.0.1:${port}`, { token: TOKEN });
      source.append(...lines(500), {
        body: Buffer.from("with data"),
        sd: [{ id: "order@32473", params: [{ name: "note", value: 'a]"b' }] }],
      });
      await eventually(() => out().includes("with data"), "all lines arrive");
      const got = out().split("\n");
      expect(got.slice(0, 500)).toEqual(
        lines(500).map((line) => `190|app|web.1|${TOKEN}||${line}`),
      );
      expect(got[500]).toContain('[order@32473 note="a\\]\\"b"]');
    });
  },
);
