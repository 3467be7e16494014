// Messages per second and per CPU-second through the log router, beside rsyslog and syslog-ng on the
// same machine in the same run when they are installed. One connection, octet-counted messages of
// about 245 octets. MESSAGES=… sets how many; CPU_PROF=<directory> writes profiles of the router.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { blocks, ensureBuilt, entry, send, sink, startServer, until } from "./logplex/load.mjs";
import { runPeers } from "./logplex/peers.mjs";

ensureBuilt();
const { FrameParser, SyslogParser } = await import(entry);
const total = Number(process.env.MESSAGES ?? 2_000_000);
const directory = mkdtempSync(join(tmpdir(), "dynokit-bench-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
console.log(`node ${process.version}, load average ${loadavg()[0].toFixed(2)}, ${total} messages`);

const perMessage = new Map();
function row(name, messages, seconds, cpu, note = "") {
  perMessage.set(name, (cpu * 1000) / messages);
  console.log(
    `${name.padEnd(46)} ${(messages / seconds / 1000).toFixed(0).padStart(6)}k/s ${(messages / cpu / 1000).toFixed(2).padStart(6)} M per CPU-second  ${((cpu * 1000) / messages).toFixed(2)} µs each ${note}`,
  );
}

// In memory: framing and parsing alone.
{
  const { block, times, messages } = blocks("t.0b5e1c52-7a1f-4a3e-9a6b-2f0c1d4e5f60", total);
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
    messages,
    (performance.now() - began) / 1000,
    (user + system) / 1000,
  );
}

async function overTcp(name, config, receiver) {
  const { address, ask, stop } = await startServer(config);
  const tokens = address.tokens;
  const perBlock = tokens.length === 1 ? 4000 : 400;
  const settled = (facts, wanted) =>
    facts.stored >= wanted &&
    facts.pending === 0 &&
    (!config.tails || facts.tailed >= wanted * 0.99);
  const run = async (count) => {
    const base = await ask();
    let messages = 0;
    const began = performance.now();
    if (tokens.length === 1) {
      const load = blocks(tokens[0], count, perBlock);
      messages = load.messages;
      await send(address.syslog, load);
    } else {
      // Every channel gets its share, one short block after the other.
      const load = tokens.map((token) => blocks(token, perBlock, perBlock).block);
      const times = Math.ceil(count / perBlock / load.length);
      messages = times * perBlock * load.length;
      await send(address.syslog, { block: Buffer.concat(load), times });
    }
    const done = await until(async () => {
      const facts = await ask();
      return settled(facts, base.stored + messages) && facts;
    });
    const ended = receiver ? receiver.last : performance.now();
    return { messages, seconds: (ended - began) / 1000, cpu: done.cpuMs - base.cpuMs, done };
  };
  // The compiler needs to have seen the load.
  await run(Math.min(total, 1_000_000));
  const { messages, seconds, cpu, done } = await run(total);
  row(name, messages, seconds, cpu, config.drain ? `lost ${done.lost}` : "");
  await stop();
}

async function overHttp(name, config = {}) {
  const { address, ask, stop } = await startServer(config);
  const { block, perBlock } = blocks(address.token, total, 2000);
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
  const run = async (count) => {
    const base = await ask();
    const began = performance.now();
    let left = Math.ceil(count / perBlock);
    await Promise.all(
      [0, 1].map(async () => {
        while (left-- > 0) await post();
      }),
    );
    const done = await until(async () => {
      const facts = await ask();
      return facts.pending === 0 && facts;
    });
    return {
      messages: done.stored - base.stored,
      seconds: (performance.now() - began) / 1000,
      cpu: done.cpuMs - base.cpuMs,
      done,
    };
  };
  await run(Math.min(total, 1_000_000));
  const { messages, seconds, cpu, done } = await run(total);
  row(name, messages, seconds, cpu, config.drain ? `lost ${done.lost}` : "");
  agent.destroy();
  await stop();
}

/** An HTTPS receiver with a certificate of its own. */
async function httpsSink() {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(directory, name));
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ...[
        "-subj",
        "/CN=bench",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        key,
        "-out",
        cert,
      ],
    ],
    { stdio: "ignore" },
  );
  const server = createHttpsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (incoming, response) => incoming.resume().on("end", () => response.end()),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: server.address().port, ca: readFileSync(cert, "utf8") };
}

await overTcp("TCP in, ring", {});
await overTcp("TCP in, 1,000 channels, a tail each", { channels: 1000, tails: true });
await overHttp("HTTP in (2,000 per request), ring");
{
  const https = await httpsSink();
  await overHttp("HTTP in, ring, HTTPS drain", {
    drain: `https://127.0.0.1:${https.port}/`,
    drainOptions: { onFull: "block", tls: { ca: https.ca } },
  });
  https.server.closeAllConnections();
  https.server.close();
}
const OURS = "TCP in, ring, TCP drain";
for (const [name, filter] of [
  [OURS, undefined],
  ["the same, filter on dyno and a header", "source:app dyno:web sev<=info"],
  ["the same, filter with one logfmt key", "source:app dyno:web .status>=400"],
]) {
  const receiver = await sink();
  await overTcp(
    name,
    {
      drain: `syslog://127.0.0.1:${receiver.port}`,
      drainOptions: { onFull: "block", ...(filter ? { filter } : {}) },
    },
    receiver,
  );
  receiver.server.close();
}
for (const peer of await runPeers(directory, total)) {
  row(peer.name, peer.messages, peer.seconds, peer.cpuMs, `about ${peer.delivered} delivered`);
  const ratio = perMessage.get(OURS) / perMessage.get(peer.name);
  console.log(`  CPU per message of ours: ${ratio.toFixed(2)} × ${peer.name.split(":")[0]}`);
}
process.exit(0);
