import { Logplex, natsBuffer } from "@dynokit/logplex";
import { connect } from "@nats-io/transport-node";

// Writes until it is killed: numbered lines for ever, or 500 to a drain that does not answer.
const [servers, prefix, url, identity] = process.argv.slice(2) as [
  string,
  string,
  string?,
  string?,
];
const logplex = new Logplex({
  buffer: natsBuffer(await connect({ servers, maxReconnectAttempts: -1 }), { prefix }),
  drains: { policy: { allowInsecure: true, allowPrivate: true, deniedPorts: [] } },
});
await logplex.ready("a");
const write = (texts: readonly string[]) => {
  const lines = texts.map((text) => Buffer.from(text));
  return logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
};
const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `line ${from + index}`);
if (url === undefined) {
  for (let from = 1; ; from += 10) {
    await write(numbered(from, 10));
    process.stdout.write(`${from + 9}\n`);
  }
}
await logplex.addDrain("a", url, {
  ...JSON.parse(identity!),
  batch: { messages: 100, lingerMs: 0 },
});
for (let from = 1; from <= 500; from += 100) await write(numbered(from, 100));
console.log("written");
