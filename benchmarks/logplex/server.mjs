// The process under measurement: says where it listens, then answers each line on stdin with a JSON
// object of its CPU time and counts.
import { createInterface } from "node:readline";

const { Logplex } = await import(process.argv[2]);
const drainPort = process.argv[3];
const logplex = new Logplex({
  budget: false,
  drains: { policy: { allowPrivate: true, deniedPorts: [] } },
});
const token = logplex.createToken("bench", "app");
if (drainPort)
  await logplex.addDrain("bench", `syslog://127.0.0.1:${drainPort}`, { onFull: "block" });
const { http, syslog } = await logplex.listen({ http: { port: 0 }, syslog: { port: 0 } });
console.log(JSON.stringify({ token, http: http.port, syslog: syslog.port }));
for await (const _ of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage();
  const [drain] = logplex.drains("bench");
  const ledger = drain && logplex.ledger(drain.id);
  console.log(
    JSON.stringify({
      cpuMs: (user + system) / 1000,
      stored: logplex.channel("bench").nextSeq - 1,
      lost: ledger?.lostTotal ?? 0,
      pending: ledger?.pending ?? 0,
    }),
  );
}
await logplex.close({ timeoutMs: 0 });
