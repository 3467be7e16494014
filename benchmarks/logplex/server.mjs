// The process under measurement: says where it listens, then answers each line on stdin with a JSON
// object of its CPU time and counts. Its configuration comes as JSON: drain (URL), drainOptions,
// channels, tails, sessions.
import { createInterface } from "node:readline";

const { Logplex } = await import(process.argv[2]);
const config = JSON.parse(process.argv[3] || "{}");
const logplex = new Logplex({
  budget: false,
  drains: { policy: { allowPrivate: true, allowInsecure: true, deniedPorts: [] } },
});
const channels = Array.from({ length: config.channels ?? 1 }, (_, index) => `bench-${index}`);
const tokens = channels.map((channel) => logplex.createToken(channel, "app"));
let tailed = 0;
if (config.tails)
  for (const channel of channels)
    void (async () => {
      const tail = logplex.channel(channel).tail();
      while (!tail.closed) {
        const events = tail.take();
        tailed += events.length;
        if (events.length === 0) await tail.ready();
      }
    })();
if (config.drain) await logplex.addDrain(channels[0], config.drain, config.drainOptions ?? {});
const { http, syslog } = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
console.log(
  JSON.stringify({ token: tokens[0], tokens, http: http.port, syslog: syslog.port, channels }),
);
for await (const _ of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage();
  const [drain] = logplex.drains(channels[0]);
  const ledger = drain && logplex.ledger(drain.id);
  let stored = 0;
  for (const channel of channels) stored += logplex.channel(channel).nextSeq - 1;
  console.log(
    JSON.stringify({
      cpuMs: (user + system) / 1000,
      stored,
      tailed,
      lost: ledger?.lostTotal ?? 0,
      filtered: ledger?.filtered ?? 0,
      pending: ledger?.pending ?? 0,
      ...(config.sessions
        ? {
            path: logplex.createSession(channels[0], { tail: true, lines: 0, query: "probe" }).path,
          }
        : {}),
    }),
  );
}
await logplex.close({ timeoutMs: 0 });
