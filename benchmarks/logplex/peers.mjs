// rsyslog and syslog-ng with the same load: octet-counted TCP in, octet-counted TCP out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accepts, blocks, cpuMs, freePort, pause, send, sink, until } from "./load.mjs";

const TOKEN = "t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60";

const find = (...paths) => paths.find((path) => existsSync(path));

const PEERS = [
  {
    name: "rsyslog: TCP in (imptcp), TCP out (omfwd)",
    program: () => find("/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"),
    args(directory, port, target) {
      const config = join(directory, "rsyslog.conf");
      writeFileSync(
        config,
        `global(workDirectory="${directory}" maxMessageSize="16k")
module(load="imptcp")
input(type="imptcp" address="127.0.0.1" port="${port}")
action(type="omfwd" target="127.0.0.1" port="${target}" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
`,
      );
      return ["-n", "-f", config, "-i", join(directory, "rsyslog.pid")];
    },
  },
  {
    name: "syslog-ng: TCP in (syslog), TCP out (syslog)",
    program: () => find("/usr/local/bin/syslog-ng", "/usr/sbin/syslog-ng"),
    args(directory, port, target) {
      const config = join(directory, "syslog-ng.conf");
      writeFileSync(
        config,
        `@version: 3.38
options { stats-freq(0); keep-hostname(yes); log-fifo-size(200000); };
source s { syslog(ip("127.0.0.1") port(${port}) transport("tcp") flags(no-multi-line) log-iw-size(20000) log-fetch-limit(1000)); };
destination d { syslog("127.0.0.1" port(${target}) transport("tcp")); };
log { source(s); destination(d); flags(flow-control); };
`,
      );
      return [
        ...[
          "-F",
          "-f",
          config,
          "-p",
          join(directory, "ng.pid"),
          "-R",
          join(directory, "ng.persist"),
        ],
        ...["-c", join(directory, "ng.ctl"), "--no-caps"],
      ];
    },
  },
];

/** Runs each peer that is installed; returns `{ name, messages, seconds, cpuMs, delivered }`. */
export async function runPeers(directory, total) {
  const results = [];
  for (const { name, program, args } of PEERS) {
    const path = program();
    if (path === undefined) {
      console.log(`${name}: not installed`);
      continue;
    }
    const target = await sink();
    const port = await freePort();
    const child = spawn(path, args(directory, port, target.port), { stdio: "ignore" });
    await accepts(port);
    const still = () =>
      until(async () => {
        const before = target.octets;
        await pause(700);
        return target.octets > 0 && target.octets === before;
      });
    await send(port, blocks(TOKEN, 100_000));
    await still();
    const load = blocks(TOKEN, total);
    const before = cpuMs(child.pid);
    const octetsBefore = target.octets;
    const began = performance.now();
    await send(port, load);
    await still();
    const perMessage = load.block.length / load.perBlock;
    results.push({
      name,
      messages: load.messages,
      seconds: (target.last - began) / 1000,
      cpuMs: cpuMs(child.pid) - before,
      delivered: Math.round((target.octets - octetsBefore) / perMessage),
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    target.server.close();
  }
  return results;
}
