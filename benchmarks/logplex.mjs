// Messages per second and per CPU-second through the log router, beside rsyslog on the same machine in
// the same run when it is installed. One connection, octet-counted messages of about 245 octets.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const entry = `${root}packages/logplex/dist/index.js`;
if (!existsSync(entry)) {
  const build = [`${root}scripts/build.mjs`, "--fast", "@dynokit/logplex"];
  if (spawnSync(process.execPath, build, { stdio: "inherit" }).status !== 0) process.exit(1);
}
const { FrameParser, SyslogParser } = await import(entry);
const total = Number(process.env.MESSAGES ?? 1_000_000);
const directory = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

/** Blocks of whole frames that add up to `count` messages. */
function blocks(token, count, perBlock = 4000) {
  const one = [];
  for (let index = 0; index < perBlock; index++) {
    const micros = String(index * 200).padStart(6, "0");
    const message = `<190>1 2026-03-14T09:26:53.${micros}+00:00 host ${token} web.${1 + (index % 3)} - - at=info method=GET path="/items/${index}" ${"x".repeat(100)}\n`;
    one.push(`${message.length} ${message}`);
  }
  return { block: Buffer.from(one.join("")), times: Math.ceil(count / perBlock), perBlock };
}

const row = (name, messages, seconds, cpuMs, note = "") =>
  console.log(
    `${name.padEnd(44)} ${(messages / seconds / 1000).toFixed(0).padStart(6)}k/s ${(messages / cpuMs / 1000).toFixed(2).padStart(6)} M per CPU-second  ${((cpuMs * 1000) / messages).toFixed(2)} µs each ${note}`,
  );

async function send(port, { block, times }) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  for (let turn = 0; turn < times; turn++) if (!socket.write(block)) await once(socket, "drain");
  socket.end();
  return socket;
}

/** A server that counts octets until `wanted` have come or nothing more comes. */
async function sink() {
  let octets = 0;
  let last = performance.now();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      octets += chunk.length;
      last = performance.now();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    server,
    get octets() {
      return octets;
    },
    get last() {
      return last;
    },
  };
}

async function startServer(drainPort = "") {
  const child = spawn(
    process.execPath,
    [`${root}benchmarks/logplex/server.mjs`, entry, drainPort],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  const address = await next();
  const ask = () => {
    child.stdin.write("\n");
    return next();
  };
  const stop = async () => {
    child.stdin.end();
    await once(child, "exit");
  };
  return { address, ask, stop };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(check) {
  for (;;) {
    const value = await check();
    if (value) return value;
    await pause(20);
  }
}

// In memory: framing and parsing alone.
{
  const { block, times, perBlock } = blocks("t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60", total);
  const parser = new SyslogParser();
  const framer = new FrameParser({
    mode: "stream",
    framing: "auto",
    onFault: () => {},
    onFrame: (buffer, start, end) => parser.parse(buffer, start, end),
  });
  parser.validBuffer = block;
  framer.push(block);
  const from = process.cpuUsage();
  const began = performance.now();
  for (let turn = 0; turn < times; turn++) framer.push(block);
  const { user, system } = process.cpuUsage(from);
  row(
    "frame and parse, in memory",
    times * perBlock,
    (performance.now() - began) / 1000,
    (user + system) / 1000,
  );
}

async function logplexTcp(name, receiver) {
  const { address, ask, stop } = await startServer(receiver ? String(receiver.port) : "");
  const load = blocks(address.token, total);
  const warm = blocks(address.token, 20_000);
  await send(address.syslog, warm);
  const ready = await until(async () => {
    const facts = await ask();
    return facts.stored >= warm.times * warm.perBlock && facts.pending === 0 && facts;
  });
  const began = performance.now();
  const messages = load.times * load.perBlock;
  await send(address.syslog, load);
  const done = await until(async () => {
    const facts = await ask();
    return facts.stored >= ready.stored + messages && facts.pending === 0 && facts;
  });
  const ended = receiver ? receiver.last : performance.now();
  row(
    name,
    messages,
    (ended - began) / 1000,
    done.cpuMs - ready.cpuMs,
    receiver ? `lost ${done.lost}` : "",
  );
  await stop();
}

await logplexTcp("TCP in, ring");

{
  const { address, ask, stop } = await startServer();
  const { block, times, perBlock } = blocks(address.token, total, 2000);
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const post = () =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          agent,
          port: address.http,
          path: "/logs",
          method: "POST",
          headers: {
            Authorization: `Bearer ${address.token}`,
            "Content-Type": "application/logplex-1",
            "Content-Length": block.length,
          },
        },
        (response) => response.resume().on("end", resolve),
      );
      call.on("error", reject).end(block);
    });
  for (let turn = 0; turn < 10; turn++) await post();
  const ready = await ask();
  const began = performance.now();
  let left = times;
  await Promise.all(
    [0, 1].map(async () => {
      while (left-- > 0) await post();
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const done = await ask();
  row(
    "HTTP in (2,000 per request), ring",
    done.stored - ready.stored,
    seconds,
    done.cpuMs - ready.cpuMs,
    `of ${times * perBlock}`,
  );
  agent.destroy();
  await stop();
}

const receiver = await sink();
await logplexTcp("TCP in, ring, TCP drain", receiver);
receiver.server.close();

/** CPU time of a process in ms, from /proc. */
function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const rsyslogd = ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"].find((path) => existsSync(path));
if (rsyslogd) {
  const target = await sink();
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  const config = join(directory, "rsyslog.conf");
  writeFileSync(
    config,
    `global(workDirectory="${directory}" maxMessageSize="16k")
module(load="imptcp")
input(type="imptcp" address="127.0.0.1" port="${port}")
action(type="omfwd" target="127.0.0.1" port="${target.port}" protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")
`,
  );
  const child = spawn(rsyslogd, ["-n", "-f", config, "-i", join(directory, "rsyslog.pid")], {
    stdio: "ignore",
  });
  const load = blocks("t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60", total);
  await until(
    () =>
      new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.on("connect", () => {
          socket.destroy();
          resolve(true);
        });
        socket.on("error", () => resolve(false));
      }),
  );
  await send(port, blocks("t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60", 20_000));
  const still = async () =>
    until(async () => {
      const before = target.octets;
      await pause(500);
      return target.octets > 0 && target.octets === before;
    });
  await still();
  const before = cpuMs(child.pid);
  const octetsBefore = target.octets;
  const began = performance.now();
  await send(port, load);
  await still();
  const perMessage = load.block.length / load.perBlock;
  const delivered = Math.round((target.octets - octetsBefore) / perMessage);
  row(
    "rsyslog: TCP in (imptcp), TCP out (omfwd)",
    load.times * load.perBlock,
    (target.last - began) / 1000,
    cpuMs(child.pid) - before,
    `about ${delivered} delivered`,
  );
  child.kill();
  await once(child, "exit");
  target.server.close();
} else console.log("rsyslog is not installed");
process.exit(0);
