// Memory of the log router: 10,000 channels that have each had a few lines, history filled to its
// limit, and a drain whose receiver never reads while messages keep coming.

import { once } from "node:events";
import { createServer } from "node:net";
import { loadavg } from "node:os";
import {
  blocks,
  ensureBuilt,
  pause,
  residentMiB,
  send,
  startServer,
  until,
} from "./logplex/load.mjs";

ensureBuilt();
console.log(`node ${process.version}, load average ${loadavg()[0].toFixed(2)}`);

{
  const count = Number(process.env.CHANNELS ?? 10_000);
  const { address, ask, stop, pid } = await startServer({ channels: count });
  const empty = residentMiB(pid);
  const octets = Buffer.concat(address.tokens.map((token) => blocks(token, 3, 3).block));
  await send(address.syslog, { block: octets, times: 1 });
  await until(async () => (await ask()).stored >= count * 3);
  await pause(500);
  console.log(
    `${count} channels: ${empty.toFixed(0)} MiB resident without lines, ${residentMiB(pid).toFixed(0)} MiB with 3 lines each`,
  );
  await stop();
}
{
  const { address, ask, stop, pid } = await startServer({});
  const before = residentMiB(pid);
  const load = blocks(address.token, 2_000_000);
  await send(address.syslog, load);
  await until(async () => (await ask()).stored >= load.messages);
  console.log(
    `one channel after ${load.messages} lines: ${before.toFixed(0)} → ${residentMiB(pid).toFixed(0)} MiB resident`,
  );
  await stop();
}
{
  const sockets = [];
  const deaf = createServer((socket) => {
    socket.pause();
    socket.on("error", () => {});
    sockets.push(socket);
  });
  deaf.listen(0, "127.0.0.1");
  await once(deaf, "listening");
  const { address, ask, stop, pid } = await startServer({
    drain: `syslog://127.0.0.1:${deaf.address().port}`,
  });
  const before = residentMiB(pid);
  let most = before;
  const load = blocks(address.token, 200_000);
  for (let turn = 0; turn < 10; turn++) {
    await send(address.syslog, load);
    await until(async () => (await ask()).stored >= load.messages * (turn + 1));
    most = Math.max(most, residentMiB(pid));
  }
  const { lost, pending, stored } = await ask();
  console.log(
    `a drain that is never read, ${stored} lines: ${before.toFixed(0)} → at most ${most.toFixed(0)} MiB resident; lost ${lost}, waiting ${pending}`,
  );
  for (const socket of sockets) socket.destroy();
  deaf.close();
  await stop();
}
process.exit(0);
