import { type IoRedisClient, Logplex, redisBuffer } from "@dynokit/logplex";
import { Redis } from "ioredis";

// Writes 500 lines to a drain whose receiver does not answer, until it is killed.
const [socket, prefix, url, identity] = process.argv.slice(2) as [string, string, string, string];
const logplex = new Logplex({
  buffer: redisBuffer(new Redis(socket) as Redis & IoRedisClient, { prefix }),
  drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
});
await logplex.ready("a");
await logplex.addDrain("a", url, {
  ...JSON.parse(identity),
  batch: { messages: 100, lingerMs: 0 },
});
for (let from = 1; from <= 500; from += 100) {
  const lines = Array.from({ length: 100 }, (_, index) => Buffer.from(`line ${from + index}`));
  await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
}
console.log("written");
