// What the benchmarks of the log router share: load, a receiver that counts, and CPU time of processes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const entry = `${root}packages/logplex/dist/index.js`;

/** Builds the package when there is no build of it. */
export function ensureBuilt() {
  if (existsSync(entry)) return;
  const build = [`${root}scripts/build.mjs`, "--fast", "@dynokit/logplex"];
  if (spawnSync(process.execPath, build, { stdio: "inherit" }).status !== 0) process.exit(1);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(check) {
  for (;;) {
    const value = await check();
    if (value) return value;
    await pause(50);
  }
}

/** Blocks of whole octet-counted frames of about 245 octets that add up to `count` messages. */
export function blocks(token, count, perBlock = 4000) {
  const one = [];
  for (let index = 0; index < perBlock; index++) {
    const micros = String(index * 200).padStart(6, "0");
    const message = `<190>1 2026-03-14T09:26:53.${micros}+00:00 host ${token} web.${1 + (index % 3)} - - at=info method=GET path="/items/${index}" status=${200 + (index % 4) * 100} ${"x".repeat(88)}\n`;
    one.push(`${message.length} ${message}`);
  }
  return {
    block: Buffer.from(one.join("")),
    times: Math.ceil(count / perBlock),
    perBlock,
    messages: Math.ceil(count / perBlock) * perBlock,
  };
}

export async function send(port, { block, times }) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  for (let turn = 0; turn < times; turn++) if (!socket.write(block)) await once(socket, "drain");
  socket.end();
  return socket;
}

/** A server that counts what comes. */
export async function sink() {
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

/** The log router in a process of its own; `config` goes to `server.mjs`. */
export async function startServer(config = {}) {
  const child = spawn(
    process.execPath,
    [
      ...(process.env.CPU_PROF ? ["--cpu-prof", `--cpu-prof-dir=${process.env.CPU_PROF}`] : []),
      `${root}benchmarks/logplex/server.mjs`,
      entry,
      JSON.stringify(config),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
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
  return { address, ask, stop, pid: child.pid };
}

/** CPU time of a process in ms, from /proc. */
export function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process in MiB, from /proc. */
export function residentMiB(pid) {
  const found = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found[1]) / 1024;
}

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

export async function accepts(port) {
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
}
