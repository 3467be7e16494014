import { diskBuffer, Logplex } from "@dynokit/logplex";

// Writes numbered lines for ever and says which of them were acknowledged, until it is killed.
const logplex = new Logplex({ buffer: diskBuffer(process.argv[2]!) });
for (let number = 1; ; number += 1) {
  const lines = [Buffer.from(`line ${number}`)];
  await logplex.write({ channel: "a", source: "app", proc: "web.1", lines, at: Date.now() });
  process.stdout.write(`${number}\n`);
}
