// Time from the input to a tail under a steady load over TCP. RATE=… messages a second (default: half
// of what one core took in a short run of all it can), SECONDS=… how long.
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { loadavg } from "node:os";
import { blocks, ensureBuilt, pause, send, startServer, until } from "./logplex/load.mjs";

ensureBuilt();
const seconds = Number(process.env.SECONDS ?? 10);
const { address, ask, stop } = await startServer({ sessions: true });

const warm = blocks(address.token, 400_000);
const began = performance.now();
await send(address.syslog, warm);
await until(async () => (await ask()).stored >= warm.messages);
const full = warm.messages / ((performance.now() - began) / 1000);
const rate = Number(process.env.RATE ?? full / 2);

// A session as `heroku logs --tail` opens one, filtered to the probes that are in the stream.
const { path } = await ask();
const waits = [];
const reader = request({ port: address.http, path, headers: { Accept: "application/x-ndjson" } });
reader.end();
const [response] = await once(reader, "response");
let rest = "";
response.on("data", (chunk) => {
  const now = performance.timeOrigin + performance.now();
  const lines = (rest + chunk).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const sent = /probe (\d+\.\d+)/.exec(line);
    if (sent) waits.push(now - Number(sent[1]));
  }
});

const { block, perBlock } = blocks(address.token, 100, 100);
const socket = connect(address.syslog, "127.0.0.1");
await once(socket, "connect");
const start = performance.now();
let sent = 0;
while (performance.now() - start < seconds * 1000) {
  const due = ((performance.now() - start) / 1000) * rate;
  while (sent < due) {
    const probe = `<190>1 - host ${address.token} web.1 - - probe ${performance.timeOrigin + performance.now()}`;
    const flushed = socket.write(Buffer.concat([block, Buffer.from(`${probe.length} ${probe}`)]));
    sent += perBlock + 1;
    if (!flushed) await once(socket, "drain");
  }
  await pause(1);
}
await pause(500);
waits.sort((a, b) => a - b);
const at = (share) =>
  waits[Math.min(waits.length - 1, Math.floor(waits.length * share))].toFixed(1);
console.log(
  `node ${process.version}, load average ${loadavg()[0].toFixed(2)}: full ${(full / 1000).toFixed(0)}k/s, measured at ${(sent / seconds / 1000).toFixed(0)}k/s`,
);
console.log(
  `input to tail over HTTP, ${waits.length} probes: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`,
);
reader.destroy();
socket.destroy();
await stop();
process.exit(0);
